// The instructions of sm_90a that the kernels of this folder are written in, as inline PTX.
#pragma once

#include <cuda.h>

#include "kernels/cuda/hopper/wgmma.cuh"
#include "kernels/cuda/tensor_core.cuh"

namespace sora::kernels::cuda::hopper {

class HopperCore : public TensorCore {
 public:
  using TensorMap = CUtensorMap;
  using TensorCore::TensorCore;

  // Read from lane 0, so that the compiler knows it to be the same for all of a warp.
  __device__ int warpgroup() const { return __shfl_sync(0xffffffff, thread() / 128, 0); }
  __device__ int block() const { return static_cast<int>(blockIdx.x); }
  __device__ int blocks() const { return static_cast<int>(gridDim.x); }

  // Each executed by a whole warpgroup.
  template <int kRegisters>
  __device__ void give_registers() const {
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
  }
  template <int kRegisters>
  __device__ void take_registers() const {
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
  }

  // Named barriers: `threads` of them come, of which those that arrive do not wait.
  __device__ void sync(int barrier, int threads) const {
    asm volatile("bar.sync %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
  }
  __device__ void arrive_at(int barrier, int threads) const {
    asm volatile("bar.arrive %0, %1;" ::"r"(barrier), "r"(threads) : "memory");
  }

  // Barriers in shared memory, whose phase ends with so many arrivals and all bytes expected.
  __device__ void make_barrier(uint32_t at, int arrivals) const {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(address(at)), "r"(arrivals)
                 : "memory");
  }
  __device__ void publish_barriers() const {
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
  }
  __device__ void arrive(uint32_t at) const {
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(address(at)) : "memory");
  }
  // Arrives, and has the phase wait for bytes besides.
  __device__ void expect(uint32_t at, uint32_t bytes) const {
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(address(at)),
                 "r"(bytes)
                 : "memory");
  }
  __device__ void wait_for_phase(uint32_t at, uint32_t parity) const {
    uint32_t ended = 0;
    while (!ended) {
      asm volatile(
          "{\n.reg .pred p;\n"
          "mbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\n"
          "selp.b32 %0, 1, 0, p;\n}\n"
          : "=r"(ended)
          : "r"(address(at)), "r"(parity)
          : "memory");
    }
  }

  // Has TMA copy the box that begins at these numbers; its bytes count at the barrier.
  __device__ void copy_box(const CUtensorMap& map, uint32_t to, uint32_t barrier, int column,
                           int row, int head, int batch) const {
    asm volatile(
        "cp.async.bulk.tensor.4d.shared::cluster.global.mbarrier::complete_tx::bytes "
        "[%0], [%1, {%3, %4, %5, %6}], [%2];" ::"r"(address(to)),
        "l"(&map), "r"(address(barrier)), "r"(column), "r"(row), "r"(head), "r"(batch)
        : "memory");
  }

  template <bool kAccumulate, int kPieces>
  __device__ void multiply(float (&d)[kPieces][4], uint64_t left, uint64_t right) const {
    multiply_bf16<kAccumulate>(d, left, right);
  }
  template <int kPieces>
  __device__ void multiply_add(float (&d)[kPieces][4], const uint32_t (&left)[4],
                               uint64_t right) const {
    multiply_add_bf16(d, left, right);
  }
  template <int kPieces>
  __device__ void multiply_add_int8(uint32_t (&d)[kPieces][4], uint64_t left,
                                    uint64_t right) const {
    hopper::multiply_add_int8(d, left, right);
  }
  template <bool kAccumulate, int kPieces>
  __device__ void multiply_e4m3(float (&d)[kPieces][4], const uint32_t (&left)[4],
                                uint64_t right) const {
    hopper::multiply_e4m3<kAccumulate>(d, left, right);
  }

  // Four e4m3, the first in the lowest byte; what is too large becomes 448.
  __device__ uint32_t pack_e4m3(float a, float b, float c, float d) const {
    uint16_t low, high;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(low) : "f"(b), "f"(a));
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(high) : "f"(d), "f"(c));
    return low | static_cast<uint32_t>(high) << 16;
  }

  // Before products that read or add to registers which the program has written.
  template <class... Registers>
  __device__ void fence(Registers&... registers) const {
    (hold(registers), ...);
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
  }
  __device__ void commit_products() const {
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
  }
  // Waits for products that follow stay behind the arithmetic that makes x, which is not -1: the
  // assembler moves a wait ahead of all arithmetic on other registers, but not ahead of a
  // synchronisation whose mask depends on it. The mask names the whole warp, which the assembler
  // cannot know, and the warp is together here anyway.
  __device__ void order_after(float x) const {
    asm volatile(
        "{\n.reg .pred p;\n.reg .b32 mask;\n"
        "setp.neu.f32 p, %0, 0fBF800000;\n"
        "selp.b32 mask, 0xffffffff, 0x0000ffff, p;\n"
        "bar.warp.sync mask;\n}\n" ::"f"(x)
        : "memory");
  }
  // Waits for all but the newest groups of products; the registers are theirs.
  template <int kNewest, class... Registers>
  __device__ void wait_for_products(Registers&... registers) const {
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kNewest) : "memory");
    (hold(registers), ...);
  }

 private:
  // The compiler moves no access of these registers past here.
  template <int kCount>
  static __device__ void hold(float (&registers)[kCount][4]) {
#pragma unroll
    for (int i = 0; i < kCount * 4; ++i) asm volatile("" : "+f"(registers[i / 4][i % 4])::"memory");
  }
  template <int kCount>
  static __device__ void hold(uint32_t (&registers)[kCount][4]) {
#pragma unroll
    for (int i = 0; i < kCount * 4; ++i) asm volatile("" : "+r"(registers[i / 4][i % 4])::"memory");
  }
};

}  // namespace sora::kernels::cuda::hopper
