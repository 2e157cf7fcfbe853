// A graph of the stand-in device: Note [Stand-in graphs] in stand_in_device.h. For its own files.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tests/stand_in_memory.h"

namespace sora::stand_in {

struct Recording {
  // One operator: the memory that it works on, which need not be alive, and how to do it again.
  struct Step {
    std::string name;
    std::vector<std::weak_ptr<Memory>> reads, writes;
    std::function<void()> again;
  };

  bool owns(const Memory& memory) const { return memory.recording == number; }
  // Keeps memory that is made while this is recorded. Throws on another stream than its own.
  void take_in(const std::shared_ptr<Memory>& memory);
  void add(const std::string& name, const std::vector<at::Tensor>& reads,
           const std::vector<at::Tensor>& writes, std::function<void()> again);
  void spoil() const;  // all of its own memory
  void replay() const;

  int64_t number = 1;
  int stream = 0;
  std::vector<std::shared_ptr<Memory>> own;
  std::vector<Step> steps;
};

Recording* recording();  // the one that is being recorded; null: none is
// Throws where one is.
void refuse_while_recording(const std::string& what);
// Throws where one is and the current stream is not its own.
void check_recording_stream(const std::string& what);

int64_t num_replays();

// Makes its graphs those of lib/nn/device_graph.h.
void register_graphs();

}  // namespace sora::stand_in
