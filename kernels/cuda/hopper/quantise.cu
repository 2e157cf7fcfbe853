// Launches Quantiser (quantise.h): statistics of keys and values, then all three.
#include "kernels/cuda/hopper/quantise.h"

#include <cuda_runtime.h>

#include "kernels/cuda/check.h"
#include "kernels/cuda/hopper/core.cuh"
#include "kernels/cuda/hopper/quantise_launch.h"

namespace sora::kernels::cuda::hopper {
namespace {

class QuantiseCore : public HopperCore {
 public:
  explicit __device__ QuantiseCore(uint32_t* shared) : HopperCore(shared), words_(shared) {}
  __device__ uint32_t* shared_words() const { return words_; }

 private:
  uint32_t* words_;
};

template <int kWidth>
using Work = Quantiser<kWidth, QuantiseCore>;

// blockIdx: a part or block; a head; a batch of keys, then of values.
template <int kWidth>
__global__ void __launch_bounds__(Work<kWidth>::kStatisticsThreads)
    statistics_kernel(const __grid_constant__ Int8AttentionProblem problem, int key_batches) {
  __shared__ uint32_t shared[Work<kWidth>::kStatisticsBytes / 4];
  QuantiseCore machine(shared);
  const int batch = static_cast<int>(blockIdx.z);
  const bool of_values = batch >= key_batches;
  Work<kWidth>(problem, machine, static_cast<int>(blockIdx.y),
               of_values ? batch - key_batches : batch)
      .gather_statistics(of_values, static_cast<int>(blockIdx.x));
}

template <int kWidth>
__global__ void __launch_bounds__(kWidth)
    finish_statistics_kernel(const __grid_constant__ Int8AttentionProblem problem,
                             int key_batches) {
  QuantiseCore machine(nullptr);
  const int batch = static_cast<int>(blockIdx.y);
  const bool of_values = batch >= key_batches;
  Work<kWidth>(problem, machine, static_cast<int>(blockIdx.x),
               of_values ? batch - key_batches : batch)
      .finish_statistics(of_values);
}

template <int kWidth, bool kOfKeys>
__global__ void __launch_bounds__(Work<kWidth>::kRowThreads)
    rows_kernel(const __grid_constant__ Int8AttentionProblem problem) {
  QuantiseCore machine(nullptr);
  Work<kWidth> work(problem, machine, static_cast<int>(blockIdx.y), static_cast<int>(blockIdx.z));
  const int block = static_cast<int>(blockIdx.x);
  kOfKeys ? work.quantise_keys(block) : work.quantise_queries(block);
}

template <int kWidth>
__global__ void __launch_bounds__(Work<kWidth>::kValueThreads)
    values_kernel(const __grid_constant__ Int8AttentionProblem problem) {
  __shared__ uint32_t shared[Work<kWidth>::kValueBytes / 4];
  QuantiseCore machine(shared);
  Work<kWidth>(problem, machine, static_cast<int>(blockIdx.y), static_cast<int>(blockIdx.z))
      .quantise_values(static_cast<int>(blockIdx.x));
}

dim3 grid(int64_t blocks, int heads, int batches) {
  return dim3(static_cast<unsigned>(blocks), static_cast<unsigned>(heads),
              static_cast<unsigned>(batches));
}

template <int kWidth>
void launch(const Int8AttentionProblem& p, cudaStream_t stream) {
  const int keys = p.batches_of(p.k), values = p.batches_of(p.v);
  const int64_t query_blocks = (p.queries + kInt8Keys - 1) / kInt8Keys;
  const int64_t key_blocks = p.padded_keys / kInt8Keys;
  statistics_kernel<kWidth><<<grid(kStatisticsParts, p.heads, keys + values),
                              Work<kWidth>::kStatisticsThreads, 0, stream>>>(p, keys);
  finish_statistics_kernel<kWidth><<<grid(p.heads, keys + values, 1), kWidth, 0, stream>>>(p, keys);
  rows_kernel<kWidth, false>
      <<<grid(query_blocks, p.heads, p.batch), Work<kWidth>::kRowThreads, 0, stream>>>(p);
  rows_kernel<kWidth, true>
      <<<grid(key_blocks, p.heads, keys), Work<kWidth>::kRowThreads, 0, stream>>>(p);
  values_kernel<kWidth>
      <<<grid(key_blocks, p.heads, values), Work<kWidth>::kValueThreads, 0, stream>>>(p);
  check(cudaGetLastError());
}

}  // namespace

void launch_quantisation(const Int8AttentionProblem& problem, void* stream) {
  const auto on = static_cast<cudaStream_t>(stream);
  problem.head_width == 64 ? launch<64>(problem, on) : launch<128>(problem, on);
}

}  // namespace sora::kernels::cuda::hopper
