// Work of a device that is recorded once and then given to it as a whole (CUDA graphs): what costs
// the CPU a launch for each operator costs one for all of them.
//
// Note [Work that can be recorded]
// A recording holds operators and addresses, nothing of what the CPU did in between. So the work
// gives all its operators to the current stream, reads and writes memory of the device alone, never
// waits for the device, asks it for no number and makes no tensor whose size depends on one; and
// what it reads stays where it was: new input is copied over the old.
#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>

namespace sora {

class DeviceGraph {
 public:
  virtual ~DeviceGraph() = default;
  // Gives what was recorded to the caller's stream.
  virtual void replay() = 0;
};

// Makes graphs that share the memory of what their work makes: it holds what the last replay of any
// of them left, until the next.
class GraphRecorder {
 public:
  virtual ~GraphRecorder() = default;
  // Records `work` without computing it. It must have been run before, for libraries prepare
  // themselves then (SideStream). Throws what `work` throws.
  virtual std::unique_ptr<DeviceGraph> record(const std::function<void()>& work) = 0;
};

// Whether graphs can be made on this kind of device: CUDA's by the library beside this one that a
// build with -DSORA_CUDA=ON holds (lib/nn/cuda_graph).
bool has_graphs(c10::DeviceType type);

// Throws Error(Usage) where has_graphs() is false.
std::unique_ptr<GraphRecorder> make_graph_recorder(at::Device device);

// How graphs of another kind of device are made.
using MakeGraphRecorder = GraphRecorder*(int device_index);
void register_graph_recorder(c10::DeviceType type, MakeGraphRecorder* make);

inline constexpr const char* kCudaGraphLibrary = "libsora_cuda_graph.so";
inline constexpr const char* kMakeCudaGraphRecorder = "sora_make_cuda_graph_recorder";

}  // namespace sora
