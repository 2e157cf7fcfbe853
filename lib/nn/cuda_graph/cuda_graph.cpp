// CUDA graphs by libtorch: what lib/nn/device_graph.h loads where they are asked for.
#include <ATen/cuda/CUDAEvent.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAGuard.h>
#include <c10/cuda/CUDAStream.h>

#include <exception>

#include "lib/nn/device_graph.h"

namespace sora {
namespace {

class CudaGraph final : public DeviceGraph {
 public:
  // On a stream of its own, as CUDA demands. Other threads may use the device meanwhile.
  CudaGraph(int device, c10::MempoolId_t pool, const std::function<void()>& work)
      : device_(device) {
    const c10::cuda::CUDAGuard on_device(device_);
    const auto stream = c10::cuda::getStreamFromPool(/*isHighPriority=*/false, device_);
    at::cuda::CUDAEvent given;
    given.record(c10::cuda::getCurrentCUDAStream(device_));
    given.block(stream);
    const c10::cuda::CUDAStreamGuard on_stream(stream);
    // What the run before has left would lie beside the graph's own memory.
    c10::cuda::CUDACachingAllocator::emptyCache();
    graph_.capture_begin(pool, cudaStreamCaptureModeThreadLocal);
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
  at::cuda::CUDAGraph graph_;
};

class CudaGraphRecorder final : public GraphRecorder {
 public:
  explicit CudaGraphRecorder(int device) : device_(device) {}
  std::unique_ptr<DeviceGraph> record(const std::function<void()>& work) override {
    return std::make_unique<CudaGraph>(device_, pool_, work);
  }

 private:
  int device_;
  c10::MempoolId_t pool_ = at::cuda::graph_pool_handle();
};

}  // namespace
}  // namespace sora

extern "C" __attribute__((visibility("default"))) sora::GraphRecorder*
sora_make_cuda_graph_recorder(int device_index) {
  return new sora::CudaGraphRecorder(device_index);
}
