// The operands of tile_product.h for AVX2.
#include "kernels/cpu/attention_group.h"
#include "kernels/cpu/copy_32.h"
#include "kernels/cpu/int8_step.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/tile_product.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kHalfPiece = 32;  // numbers of bf16 in a piece's row; half of those of int8

// The largest magnitude of a row of bf16.
float largest(const uint16_t* x, int64_t depth) {
  __m256i top = _mm256_setzero_si256();
  for (int64_t k = 0; k < depth; k += 2 * kLanes) {
    const __m256i magnitude =
        _mm256_and_si256(load_pairs(x + k, depth - k), _mm256_set1_epi16(0x7fff));
    top = _mm256_max_epu16(top, magnitude);
  }
  uint16_t tops[2 * kLanes], most = 0;
  store_words(tops, top);
  for (const uint16_t each : tops) most = each > most ? each : most;
  const uint32_t bits = static_cast<uint32_t>(most) << 16;
  float value;
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}

// 32 numbers of a row in int8.
__m256i quantised(const uint16_t* x, int64_t left, Floats inverse) {
  Floats value[kRegistersOf32];
  load_bf16(x, left, value);
  __m256i whole[kRegistersOf32];
#pragma GCC unroll 4
  for (int64_t i = 0; i < kRegistersOf32; ++i) whole[i] = _mm256_cvtps_epi32(value[i] * inverse);
  // Packing takes the lower and the upper halves of registers apart.
  const __m256i mixed = _mm256_packs_epi16(_mm256_packs_epi32(whole[0], whole[1]),
                                           _mm256_packs_epi32(whole[2], whole[3]));
  return _mm256_permutevar8x32_epi32(mixed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

}  // namespace

void pack_rows_avx2(const uint16_t* x, int64_t stride, int64_t rows, int64_t depth, void* block) {
  auto* to = static_cast<uint16_t*>(block);
  for (int64_t k = 0; k < depth; k += kHalfPiece) {
    for (int64_t row = 0; row < kPieceRows; ++row, to += kHalfPiece)
      copy_32(x + row * stride + k, row < rows ? depth - k : 0, to);
  }
}

void quantise_rows_avx2(const uint16_t* x, int64_t stride, int64_t rows, int64_t depth, bool biased,
                        void* block, float* scale) {
  char* const to = static_cast<char*>(block);
  const __m256i bias = _mm256_set1_epi8(static_cast<char>(biased ? 0x80 : 0));
  for (int64_t row = 0; row < kPieceRows; ++row) {
    const uint16_t* const from = x + row * stride;
    const int64_t width = row < rows ? depth : 0;
    const Int8Step step = int8_step(largest(from, width));
    scale[row] = step.size;
    for (int64_t k = 0; k < depth; k += kPieceBytes) {
      char* const piece = to + k * kPieceRows + row * kPieceBytes;
      for (int64_t half = 0; half < kPieceBytes; half += kHalfPiece)
        store_words(piece + half,
                    _mm256_xor_si256(
                        quantised(from + k + half, width - k - half, splat(step.inverse)), bias));
    }
  }
}

void pack_panel_avx2(const uint16_t* weight, int64_t stride, int64_t columns, int64_t depth,
                     void* panel) {
  pack_keys_bf16_avx2(weight, stride, columns, depth, static_cast<uint16_t*>(panel));
}

}  // namespace sora::kernels::cpu
