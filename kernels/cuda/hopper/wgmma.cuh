// The warpgroup's matrix products as inline PTX, for each type of numbers and number of result
// columns, with a left operand from shared memory or from registers (PTX ISA, wgmma.mma_async). A
// result of n columns is n / 8 pieces of four registers.
//
// Assembler text is a literal, so register lists are written by macros, which end with this file.
#pragma once

#include <cstdint>

namespace sora::kernels::cuda::hopper {

#define SORA_NAMES_32                                                      \
  "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, " \
  "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31"
#define SORA_NAMES_48 \
  SORA_NAMES_32       \
  ", "                \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47"
#define SORA_NAMES_64                                                                \
  SORA_NAMES_32                                                                      \
  ", "                                                                               \
  "%32, %33, %34, %35, %36, %37, %38, %39, %40, %41, %42, %43, %44, %45, %46, %47, " \
  "%48, %49, %50, %51, %52, %53, %54, %55, %56, %57, %58, %59, %60, %61, %62, %63"
#define SORA_NAMES_88                                                                \
  SORA_NAMES_64                                                                      \
  ", "                                                                               \
  "%64, %65, %66, %67, %68, %69, %70, %71, %72, %73, %74, %75, %76, %77, %78, %79, " \
  "%80, %81, %82, %83, %84, %85, %86, %87"

// Constraint letters first: a register's type.
#define SORA_PIECE(type, d, i) type(d[i][0]), type(d[i][1]), type(d[i][2]), type(d[i][3])
#define SORA_PIECES_4(type, d, i)                                                 \
  SORA_PIECE(type, d, i), SORA_PIECE(type, d, i + 1), SORA_PIECE(type, d, i + 2), \
      SORA_PIECE(type, d, i + 3)
#define SORA_PIECES_8(type, d) SORA_PIECES_4(type, d, 0), SORA_PIECES_4(type, d, 4)
#define SORA_PIECES_12(type, d) SORA_PIECES_8(type, d), SORA_PIECES_4(type, d, 8)
#define SORA_PIECES_16(type, d) \
  SORA_PIECES_8(type, d), SORA_PIECES_4(type, d, 8), SORA_PIECES_4(type, d, 12)
#define SORA_PIECES_22(type, d)                                                 \
  SORA_PIECES_16(type, d), SORA_PIECES_4(type, d, 16), SORA_PIECE(type, d, 20), \
      SORA_PIECE(type, d, 21)

// d (+)= A B of bf16, both K-major in shared memory; the numbers of the operands behind d follow
// its registers.
#define SORA_MULTIPLY(columns, pieces, registers, a, b, accumulate)                  \
  template <bool kAccumulate>                                                        \
  __device__ __forceinline__ void multiply_bf16(float(&d)[pieces][4], uint64_t left, \
                                                uint64_t right) {                    \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" accumulate                     \
                 ", 0;\n"                                                            \
                 "wgmma.mma_async.sync.aligned.m64n" columns                         \
                 "k16.f32.bf16.bf16 "                                                \
                 "{" SORA_NAMES_##registers "}, %" a ", %" b ", p, 1, 1, 0, 0;\n}\n" \
                 : SORA_PIECES_##pieces("+f", d)                                     \
                 : "l"(left), "l"(right), "n"(kAccumulate ? 1 : 0));                 \
  }
SORA_MULTIPLY("128", 16, 64, "64", "65", "66")
SORA_MULTIPLY("176", 22, 88, "88", "89", "90")
#undef SORA_MULTIPLY

// d += A B of bf16, A in registers, B MN-major in shared memory.
#define SORA_MULTIPLY_ADD(columns, pieces, registers, a0, a1, a2, a3, b)                        \
  __device__ __forceinline__ void multiply_add_bf16(float(&d)[pieces][4],                       \
                                                    const uint32_t(&left)[4], uint64_t right) { \
    asm volatile(                                                                               \
        "{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\n"                                              \
        "wgmma.mma_async.sync.aligned.m64n" columns                                             \
        "k16.f32.bf16.bf16 "                                                                    \
        "{" SORA_NAMES_##registers "}, {%" a0 ", %" a1 ", %" a2 ", %" a3 "}, %" b               \
                                   ", p, 1, 1, 1;\n}\n"                                         \
        : SORA_PIECES_##pieces("+f", d)                                                         \
        : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "l"(right));                  \
  }
SORA_MULTIPLY_ADD("64", 8, 32, "32", "33", "34", "35", "36")
SORA_MULTIPLY_ADD("128", 16, 64, "64", "65", "66", "67", "68")
#undef SORA_MULTIPLY_ADD

// d += A B of int8, both K-major in shared memory.
__device__ __forceinline__ void multiply_add_int8(uint32_t (&d)[12][4], uint64_t left,
                                                  uint64_t right) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, 1, 0;\n"
      "wgmma.mma_async.sync.aligned.m64n96k32.s32.s8.s8 {" SORA_NAMES_48 "}, %48, %49, p;\n}\n"
      : SORA_PIECES_12("+r", d)
      : "l"(left), "l"(right));
}

// d (+)= A B of e4m3, A in registers, B K-major in shared memory.
#define SORA_MULTIPLY_E4M3(columns, pieces, registers, a0, a1, a2, a3, b, accumulate)           \
  template <bool kAccumulate>                                                                   \
  __device__ __forceinline__ void multiply_e4m3(float(&d)[pieces][4], const uint32_t(&left)[4], \
                                                uint64_t right) {                               \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" accumulate                                \
                 ", 0;\n"                                                                       \
                 "wgmma.mma_async.sync.aligned.m64n" columns                                    \
                 "k32.f32.e4m3.e4m3 "                                                           \
                 "{" SORA_NAMES_##registers "}, {%" a0 ", %" a1 ", %" a2 ", %" a3 "}, %" b      \
                                            ", p, 1, 1;\n}\n"                                   \
                 : SORA_PIECES_##pieces("+f", d)                                                \
                 : "r"(left[0]), "r"(left[1]), "r"(left[2]), "r"(left[3]), "l"(right),          \
                   "n"(kAccumulate ? 1 : 0));                                                   \
  }
SORA_MULTIPLY_E4M3("64", 8, 32, "32", "33", "34", "35", "36", "37")
SORA_MULTIPLY_E4M3("128", 16, 64, "64", "65", "66", "67", "68", "69")
#undef SORA_MULTIPLY_E4M3

#undef SORA_PIECES_22
#undef SORA_PIECES_16
#undef SORA_PIECES_12
#undef SORA_PIECES_8
#undef SORA_PIECES_4
#undef SORA_PIECE
#undef SORA_NAMES_88
#undef SORA_NAMES_64
#undef SORA_NAMES_48
#undef SORA_NAMES_32

}  // namespace sora::kernels::cuda::hopper
