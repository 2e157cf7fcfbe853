// What RowKernel asks of a block of threads on a GPU.
#pragma once

#include "kernels/cuda/tensor_core.cuh"

namespace sora::kernels::cuda {

class BlockCore : public TensorCore {
 public:
  // `shared` holds a float for each warp.
  explicit __device__ BlockCore(float* shared) : TensorCore(shared), sums_(shared) {}

  __device__ float square_root(float x) const { return sqrtf(x); }

  // The same for every thread, in an order that depends on the number of threads alone.
  template <int kThreads>
  __device__ float sum_of_block(float x) const {
#pragma unroll
    for (int mask = 16; mask > 0; mask /= 2) x += __shfl_xor_sync(0xffffffff, x, mask);
    barrier();  // before the sums of the call before are overwritten
    if (lane() == 0) sums_[warp()] = x;
    barrier();
    float sum = 0.0F;
#pragma unroll
    for (int i = 0; i < kThreads / 32; ++i) sum += sums_[i];
    return sum;
  }

 private:
  float* sums_;
};

}  // namespace sora::kernels::cuda
