// The instructions of sm_80 and later that TileAttention is written in, as inline PTX.
#pragma once

#include <cstdint>

namespace sora::kernels::cuda {

class TensorCore {
 public:
  explicit __device__ TensorCore(const void* shared)
      : shared_(static_cast<uint32_t>(__cvta_generic_to_shared(shared))),
        thread_(static_cast<int>(threadIdx.x)) {}

  __device__ int thread() const { return thread_; }
  __device__ int lane() const { return thread_ % 32; }
  __device__ int warp() const { return thread_ / 32; }
  // Where an offset into the block's shared memory is.
  __device__ uint32_t address(uint32_t offset) const { return shared_ + offset; }
  __device__ void barrier() const { __syncthreads(); }

  // Zeros where the source does not exist; its address must still be one of global memory.
  __device__ void copy_16_bytes(uint32_t to, const void* from, bool exists) const {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_ + to), "l"(from),
                 "r"(exists ? 16 : 0)
                 : "memory");
  }
  __device__ void commit() const { asm volatile("cp.async.commit_group;" ::: "memory"); }
  template <int kNewest>
  __device__ void wait() const {
    asm volatile("cp.async.wait_group %0;" ::"n"(kNewest) : "memory");
  }

  __device__ void load_matrices(uint32_t (&out)[4], uint32_t row) const {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(shared_ + row)
                 : "memory");
  }
  __device__ void load_transposed_matrices(uint32_t (&out)[4], uint32_t row) const {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(out[0]), "=r"(out[1]), "=r"(out[2]), "=r"(out[3])
                 : "r"(shared_ + row)
                 : "memory");
  }
  __device__ void multiply_add(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0,
                               uint32_t b1) const {
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, "
        "{%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(sum[0]), "+f"(sum[1]), "+f"(sum[2]), "+f"(sum[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
  }

  // Two bf16, the first in the lower half.
  __device__ uint32_t pack(float low, float high) const {
    uint32_t out;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(high), "f"(low));
    return out;
  }
  __device__ float exp2(float x) const {
    float out;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(out) : "f"(x));
    return out;
  }
  __device__ float larger(float a, float b) const { return fmaxf(a, b); }
  __device__ float largest_of_quad(float x) const {
    x = fmaxf(x, __shfl_xor_sync(kWholeWarp, x, 1));
    return fmaxf(x, __shfl_xor_sync(kWholeWarp, x, 2));
  }
  // Of kLanes neighbours, a power of two.
  template <int kLanes>
  __device__ float largest_of_lanes(float x) const {
#pragma unroll
    for (int mask = kLanes / 2; mask > 0; mask /= 2)
      x = fmaxf(x, __shfl_xor_sync(kWholeWarp, x, mask));
    return x;
  }
  __device__ float sum_of_quad(float x) const {
    x += __shfl_xor_sync(kWholeWarp, x, 1);
    return x + __shfl_xor_sync(kWholeWarp, x, 2);
  }

 private:
  static constexpr unsigned kWholeWarp = 0xffffffff;
  uint32_t shared_;
  int thread_;
};

}  // namespace sora::kernels::cuda
