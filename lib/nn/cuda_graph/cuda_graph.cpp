// CUDA graphs by libtorch: what lib/nn/device_graph.h loads where they are asked for.
//
// Note [Memory of the graphs of one recorder]
// What they make lies in one pool of libtorch's, of which a stream is given only what the same
// stream has let go, so that all are recorded on one. When the last graph of a pool goes libtorch
// takes the pool for done, and records nothing into it again: its graphs own it, and a recorder
// whose graphs have all gone draws another.
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <exception>
#include <memory>
#include <utility>

#include "lib/nn/device_graph.h"

namespace sora {
namespace {

using Pool = std::shared_ptr<const c10::MempoolId_t>;

class CudaGraph final : public DeviceGraph {
 public:
  // On a stream other than the caller's, as CUDA demands. Other threads may use the device
  // meanwhile.
  CudaGraph(c10::cuda::CUDAStream stream, Pool pool, const std::function<void()>& work)
      : device_(stream.device_index()), pool_(std::move(pool)) {
    const c10::cuda::CUDAGuard on_device(device_);
    at::cuda::CUDAEvent given;
    given.record(c10::cuda::getCurrentCUDAStream(device_));
    given.block(stream);
    const c10::cuda::CUDAStreamGuard on_stream(stream);
    // What the run before has left would lie beside the graph's own memory.
    c10::cuda::CUDACachingAllocator::emptyCache();
    graph_.capture_begin(*pool_, cudaStreamCaptureModeThreadLocal);
    try {
      work();
    } catch (...) {
      abandon();
      throw;
    }
    graph_.capture_end();
  }

  void replay() override {
    const c10::cuda::CUDAGuard on_device(device_);
    graph_.replay();
  }

 private:
  // The stream must leave the capture; that this graph is none is known.
  void abandon() noexcept {
    try {
      graph_.capture_end();
    } catch (const std::exception&) {
    }
  }

  c10::DeviceIndex device_;
  Pool pool_;  // goes after the graph
  at::cuda::CUDAGraph graph_;
};

class CudaGraphRecorder final : public GraphRecorder {
 public:
  explicit CudaGraphRecorder(c10::DeviceIndex device)
      : stream_(c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device)) {}
  std::unique_ptr<DeviceGraph> record(const std::function<void()>& work) override {
    return std::make_unique<CudaGraph>(stream_, pool(), work);
  }

 private:
  Pool pool() {
    Pool shared = pool_.lock();
    if (!shared) pool_ = shared = std::make_shared<c10::MempoolId_t>(at::cuda::graph_pool_handle());
    return shared;
  }

  c10::cuda::CUDAStream stream_;
  std::weak_ptr<const c10::MempoolId_t> pool_;
};

}  // namespace
}  // namespace sora

extern "C" __attribute__((visibility("default"))) sora::GraphRecorder*
sora_make_cuda_graph_recorder(int device_index) {
  return new sora::CudaGraphRecorder(static_cast<c10::DeviceIndex>(device_index));
}
