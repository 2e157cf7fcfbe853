// The operands of tile_product.h, a row or a register at a time.

#include "kernels/cpu/attention_group.h"
#include "kernels/cpu/int8_step.h"
#include "kernels/cpu/intrinsics.h"
#include "kernels/cpu/lanes_avx512.h"
#include "kernels/cpu/tile_product.h"

namespace sora::kernels::cpu {
namespace {

// The largest magnitude of a row of bf16.
float largest(const uint16_t* x, int64_t depth) {
  __m512i top = _mm512_setzero_si512();
  const __m512i magnitude = _mm512_set1_epi16(0x7fff);
  for (int64_t k = 0; k < depth; k += 32) {
    const __m512i numbers = _mm512_maskz_loadu_epi16(first_of_32(depth - k), x + k);
    top = _mm512_max_epu16(top, _mm512_and_si512(numbers, magnitude));
  }
  const __m512i even = _mm512_and_si512(top, _mm512_set1_epi32(0xffff));
  const __m512i odd = _mm512_srli_epi32(top, 16);
  const uint32_t bits = _mm512_reduce_max_epu32(_mm512_max_epu32(even, odd)) << 16;
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

// 64 numbers of a row in int8.
__m512i quantised(const uint16_t* x, int64_t left, __m512 inverse) {
  __m128i parts[4];
  for (int64_t i = 0; i < 4; ++i) {
    const __m512 value = widened(x + kLanes * i, left - kLanes * i);
    parts[i] = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(value, inverse)));
  }
  __m512i bytes = _mm512_zextsi128_si512(parts[0]);
  bytes = _mm512_inserti32x4(bytes, parts[1], 1);
  bytes = _mm512_inserti32x4(bytes, parts[2], 2);
  return _mm512_inserti32x4(bytes, parts[3], 3);
}

}  // namespace

void pack_rows_avx512(const uint16_t* x, int64_t stride, int64_t rows, int64_t depth, void* block) {
  char* to = static_cast<char*>(block);
  for (int64_t k = 0; k < depth; k += 32) {
    const __mmask32 mask = first_of_32(depth - k);
    for (int64_t row = 0; row < kPieceRows; ++row, to += kPieceBytes) {
      _mm512_storeu_si512(to, row < rows ? _mm512_maskz_loadu_epi16(mask, x + row * stride + k)
                                         : _mm512_setzero_si512());
    }
  }
}

void quantise_rows_avx512(const uint16_t* x, int64_t stride, int64_t rows, int64_t depth,
                          bool biased, void* block, float* scale) {
  char* const to = static_cast<char*>(block);
  const __m512i bias = _mm512_set1_epi8(static_cast<char>(biased ? 0x80 : 0));
  for (int64_t row = 0; row < kPieceRows; ++row) {
    const Int8Step step = int8_step(row < rows ? largest(x + row * stride, depth) : 0.0F);
    scale[row] = step.size;
    const __m512 inverse = _mm512_set1_ps(step.inverse);
    for (int64_t k = 0; k < depth; k += kPieceBytes) {
      const __m512i numbers =
          row < rows ? quantised(x + row * stride + k, depth - k, inverse) : _mm512_setzero_si512();
      _mm512_storeu_si512(to + k * kPieceRows + row * kPieceBytes, _mm512_xor_si512(numbers, bias));
    }
  }
}

void pack_panel_avx512(const uint16_t* weight, int64_t stride, int64_t columns, int64_t depth,
                       void* panel) {
  pack_keys_bf16_avx512(weight, stride, columns, depth, static_cast<uint16_t*>(panel));
}

}  // namespace sora::kernels::cpu
