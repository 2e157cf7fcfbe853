// The operands of tile_product.h, a row or a register at a time.

// gcc 12 takes the undefined pass-through operands of its own intrinsics for a mistake of the
// caller (bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop

#include "kernels/cpu/attention_group.h"
#include "kernels/cpu/tile_product.h"

namespace sora::kernels::cpu {
namespace {

// The largest magnitude of a row of bf16.
float largest(const uint16_t* x, int64_t depth) {
  __m512i top = _mm512_setzero_si512();
  const __m512i magnitude = _mm512_set1_epi16(0x7fff);
  for (int64_t k = 0; k < depth; k += 32) {
    const __mmask32 mask = depth - k >= 32 ? 0xffffffffU : (1U << (depth - k)) - 1;
    top = _mm512_max_epu16(top, _mm512_and_si512(_mm512_maskz_loadu_epi16(mask, x + k), magnitude));
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
    const int64_t count = left - 16 * i;
    const __mmask16 mask = count >= 16 ? 0xffff : count <= 0 ? 0 : (1U << count) - 1;
    const __m512i wide =
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, x + 16 * i)), 16);
    parts[i] = _mm512_cvtsepi32_epi8(
        _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_castsi512_ps(wide), inverse)));
  }
  __m512i bytes = _mm512_zextsi128_si512(parts[0]);
  bytes = _mm512_inserti32x4(bytes, parts[1], 1);
  bytes = _mm512_inserti32x4(bytes, parts[2], 2);
  return _mm512_inserti32x4(bytes, parts[3], 3);
}

}  // namespace

void pack_rows_avx512bf16(const uint16_t* x, int64_t stride, int64_t rows, int64_t depth,
                          void* block) {
  char* to = static_cast<char*>(block);
  for (int64_t k = 0; k < depth; k += 32) {
    const __mmask32 mask = depth - k >= 32 ? 0xffffffffU : (1U << (depth - k)) - 1;
    for (int64_t row = 0; row < kPieceRows; ++row, to += kPieceBytes) {
      _mm512_storeu_si512(to, row < rows ? _mm512_maskz_loadu_epi16(mask, x + row * stride + k)
                                         : _mm512_setzero_si512());
    }
  }
}

void quantise_rows_avx512bf16(const uint16_t* x, int64_t stride, int64_t rows, int64_t depth,
                              bool biased, void* block, float* scale) {
  constexpr float kMost = 127.0F, kLeast = 1e-30F;
  char* const to = static_cast<char*>(block);
  const __m512i bias = _mm512_set1_epi8(static_cast<char>(biased ? 0x80 : 0));
  for (int64_t row = 0; row < kPieceRows; ++row) {
    const float top = row < rows ? largest(x + row * stride, depth) : 0.0F;
    const bool is_zero = top < kLeast;
    scale[row] = is_zero ? 0.0F : top / kMost;
    const __m512 inverse = _mm512_set1_ps(is_zero ? 0.0F : kMost / top);
    for (int64_t k = 0; k < depth; k += kPieceBytes) {
      const __m512i numbers = row < rows ? quantised(x + row * stride + k, depth - k, inverse)
                                         : _mm512_setzero_si512();
      _mm512_storeu_si512(to + k * kPieceRows + row * kPieceBytes, _mm512_xor_si512(numbers, bias));
    }
  }
}

void pack_panel_avx512bf16(const uint16_t* weight, int64_t stride, int64_t columns, int64_t depth,
                           void* panel) {
  pack_keys_avx512bf16(weight, stride, columns, depth, static_cast<uint16_t*>(panel));
}

}  // namespace sora::kernels::cpu
