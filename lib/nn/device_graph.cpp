#include "lib/nn/device_graph.h"

#include <map>

#include "lib/core/error.h"
#include "lib/nn/companion_library.h"

namespace sora {
namespace {

std::map<c10::DeviceType, MakeGraphRecorder*>& registered() {
  static std::map<c10::DeviceType, MakeGraphRecorder*> makers;
  return makers;
}

MakeGraphRecorder* maker_of(c10::DeviceType type) {
  if (const auto found = registered().find(type); found != registered().end()) return found->second;
  if (type != c10::DeviceType::CUDA) return nullptr;
  static auto* const of_cuda = reinterpret_cast<MakeGraphRecorder*>(
      companion_symbol(kCudaGraphLibrary, kMakeCudaGraphRecorder));
  return of_cuda;
}

}  // namespace

bool has_graphs(c10::DeviceType type) { return maker_of(type) != nullptr; }

std::unique_ptr<GraphRecorder> make_graph_recorder(at::Device device) {
  MakeGraphRecorder* const make = maker_of(device.type());
  if (make == nullptr) {
    fail(
        ErrorKind::Usage,
        "this build makes no CUDA graphs; build it with -DSORA_CUDA=ON, or leave --cuda-graph out");
  }
  return std::unique_ptr<GraphRecorder>(make(device.index()));
}

void register_graph_recorder(c10::DeviceType type, MakeGraphRecorder* make) {
  registered()[type] = make;
}

}  // namespace sora
