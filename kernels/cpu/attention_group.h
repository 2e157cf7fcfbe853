// Attention of a group of queries of one head to its packed keys, block by block with a running
// softmax (FlashAttention, arXiv 2205.14135, algorithm 1): the part of attention.h that is written
// for each processor. bf16 numbers are their 16 bits.
//
// Note [Lazy maximum]
// Probabilities are 2^(logit - m) for a whole number m of each row. m need not be the largest
// logit: bf16 and f32 have room for 2^30 above it and 2^-126 below. So m is the first block's
// largest logit rounded up, and changes only when a later logit exceeds it by 30; then what was
// summed is scaled by a power of two, which is exact.
#pragma once

#include <cstdint>

namespace sora::kernels::cpu {

constexpr int64_t kKeysInTile = 32;  // of a tile of packed keys or values

// With heads of `width` numbers, tile t holds keys 32 t to 32 t + 31, zero beyond the last one.
// Widths are padded with zeros to whole_width(), of which a tile of keys and one of values have 32
// each.
constexpr int64_t whole_width(int64_t width) { return (width + 31) / 32 * 32; }

struct AttentionGroup {
  const void* q;  // row 0, `q_stride` numbers a row
  int64_t q_stride;
  void* out;  // likewise
  int64_t out_stride;
  int64_t num_rows;
  int64_t width;
  const void* keys;  // packed tiles
  const void* values;
  const int32_t* tiles;  // numbers of the tiles that any query of the group may see, ascending
  int64_t num_tiles;
  float scale;             // of q k^T, in powers of two: log2(e) / sqrt(width)
  const float* bias;       // of each key, in powers of two; null: 0. Hidden keys have -inf
  const float* last_bias;  // [32] of the last tile where bias is null; null: 0
  int64_t last_tile;
  // Positive logits of keys more than `window` tokens away are multiplied by `far_factor`; row 0 is
  // token `first_token`.
  bool scales_far;
  int64_t first_token, window;
  float far_factor;
  // 8 bits only: of each of whole_width() columns.
  const float* value_scale;
  const float* value_mean;
};

// Bytes of scratch memory, 64-byte aligned, that attend() of a group wants.
using ScratchBytes = int64_t(int64_t num_rows, int64_t width);
using Attend = void(const AttentionGroup& group, void* scratch);

// bf16. keys: tiles of [whole width / 2][32][2], pairs of numbers; values: tiles of
// [whole width / 32][16][32][2], pairs of keys.
ScratchBytes attention_scratch_amx;
Attend attend_amx;
ScratchBytes attention_scratch_avx512bf16;
Attend attend_avx512bf16;
ScratchBytes attention_scratch_bf16_avx512;
Attend attend_bf16_avx512;
ScratchBytes attention_scratch_bf16_avx2;
Attend attend_bf16_avx2;
using PackTile = void(const uint16_t* rows, int64_t stride, int64_t count, int64_t width,
                      uint16_t* tile);
PackTile pack_keys_bf16_avx512;
PackTile pack_keys_bf16_avx2;
PackTile pack_values_bf16_avx512;
PackTile pack_values_bf16_avx2;

// 8 bits: Note [Attention in 8 bits]. Tiles of 64 keys instead of 32. values: [whole width /
// 32][16][32][4], four keys side by side.
constexpr int64_t kKeysInInt8Tile = 64;

struct Int8KeyTile {
  int8_t* numbers;  // [whole width / 4][64][4]
  float* scale;     // [64], of each key
  int32_t* first;   // [64], what a sum of unsigned products begins with
};

constexpr int64_t int8_key_tile_bytes(int64_t width) {
  return kKeysInInt8Tile * (whole_width(width) + 8);
}
static inline Int8KeyTile int8_key_tile(void* tile, int64_t width) {
  auto* numbers = static_cast<int8_t*>(tile);
  void* const scale = numbers + kKeysInInt8Tile * whole_width(width);
  return {numbers, static_cast<float*>(scale),
          static_cast<int32_t*>(static_cast<void*>(static_cast<float*>(scale) + kKeysInInt8Tile))};
}

ScratchBytes attention_scratch_int8_avx512bf16;
Attend attend_int8_avx512bf16;
// Of each column over `count` keys or values.
void int8_means_avx512bf16(const uint16_t* x, int64_t stride, int64_t count, int64_t width,
                           float* mean);
void int8_value_scales_avx512bf16(const uint16_t* values, int64_t stride, int64_t count,
                                  int64_t width, const float* mean, float* scale);
void pack_keys_int8_avx512bf16(const uint16_t* keys, int64_t stride, int64_t count, int64_t width,
                               const float* mean, void* tile);
void pack_values_int8_avx512bf16(const uint16_t* values, int64_t stride, int64_t count,
                                 int64_t width, const float* mean, const float* scale,
                                 int8_t* tile);

// f32. keys: tiles of [whole width][32]; values: tiles of [whole width / 32][32 keys][32].
ScratchBytes attention_scratch_f32;
Attend attend_f32;
Attend attend_f32_avx2;
Attend attend_f32_avx512;
void pack_keys_f32(const float* keys, int64_t stride, int64_t count, int64_t width, float* tile);
void pack_values_f32(const float* values, int64_t stride, int64_t count, int64_t width,
                     float* tile);

}  // namespace sora::kernels::cpu
