// Note [Attention in 8 bits]
// Keys less their mean over all of them, which the softmax does not see, are rounded to int8 with a
// scale a key, queries with a scale a row; scores are exact sums of their products (SageAttention,
// arXiv 2410.02367). Probabilities of 256 keys are rounded to 255ths of the row's largest among
// them, values less their mean to int8 with a scale a column; sums over the 256 keys are exact
// again, and join in f32. A probability below a 510th of the largest of its 256 is lost; weights
// are divided by the sum of those that are left, so that the mean of the values can be added at the
// end.
// The dot products of VNNI multiply unsigned numbers with signed ones: queries have 128 added, and
// sums of scores begin with what that adds, taken away.

#include "kernels/cpu/attention_group.h"
#include "kernels/cpu/far_scores.h"
#include "kernels/cpu/int8_step.h"
#include "kernels/cpu/intrinsics.h"
#include "kernels/cpu/lanes_avx512.h"
#include "kernels/cpu/power_of_two.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kRows = 48;  // of queries
constexpr int64_t kTilesInChunk = 4;
constexpr int64_t kKeys = kKeysInInt8Tile;
constexpr int64_t kQuads = kKeys / 4;
constexpr float kMinusInfinity = -__builtin_inff();

// x [rows of kStep dwords apart] times `right` [count][32 or 64 columns][4], to int32 sums.
template <int kNumRows, int kNumVectors>
struct Registers {
  __m512i sums[kNumRows][kNumVectors];

  __attribute__((always_inline)) void begin(const int32_t* first) {
#pragma GCC unroll 12
    for (int i = 0; i < kNumRows; ++i) {
#pragma GCC unroll 4
      for (int v = 0; v < kNumVectors; ++v)
        sums[i][v] =
            first == nullptr ? _mm512_setzero_si512() : _mm512_loadu_si512(first + v * kLanes);
    }
  }
  __attribute__((always_inline)) void add(const uint8_t* x, int64_t stride, const int8_t* right,
                                          int64_t count) {
    for (int64_t p = 0; p < count; ++p) {
      __m512i columns[kNumVectors];
#pragma GCC unroll 4
      for (int v = 0; v < kNumVectors; ++v)
        columns[v] = _mm512_loadu_si512(right + (p * kNumVectors + v) * 64);
#pragma GCC unroll 12
      for (int i = 0; i < kNumRows; ++i) {
        int32_t four;
        __builtin_memcpy(&four, x + i * stride + 4 * p, sizeof four);
        const __m512i all = _mm512_set1_epi32(four);
#pragma GCC unroll 4
        for (int v = 0; v < kNumVectors; ++v)
          sums[i][v] = _mm512_dpbusd_epi32(sums[i][v], all, columns[v]);
      }
    }
  }
};

// Of a block of queries between chunks.
struct alignas(64) State {
  float m[kRows], sum[kRows], q_scale[kRows];
};

struct Layout {
  explicit Layout(int64_t width) : whole(whole_width(width)) {}
  int64_t q_bytes() const { return kRows * whole; }
  int64_t out_bytes() const { return kRows * whole * 4; }
  int64_t block_bytes() const {
    return q_bytes() + out_bytes() + static_cast<int64_t>(sizeof(State));
  }
  static constexpr int64_t kScoreBytes = kTilesInChunk * kRows * kKeys * 4;
  static constexpr int64_t kProbabilityBytes = kTilesInChunk * kRows * kKeys;
  int64_t whole;
};

struct Block {
  uint8_t* q;  // [48][whole width]
  float* out;  // [whole width / 32][48][32]
  State* state;
};

class Group {
 public:
  Group(const AttentionGroup& group, void* scratch)
      : group_(group),
        layout_(group.width),
        scores_(static_cast<int32_t*>(scratch)),
        probabilities_(static_cast<uint8_t*>(scratch) + Layout::kScoreBytes),
        blocks_(static_cast<char*>(scratch) + Layout::kScoreBytes + Layout::kProbabilityBytes) {}

  void run() {
    const int64_t num_blocks = (group_.num_rows + kRows - 1) / kRows;
    for (int64_t b = 0; b < num_blocks; ++b) begin(b);
    for (int64_t first = 0; first < group_.num_tiles; first += kTilesInChunk) {
      const int64_t left = group_.num_tiles - first;
      const int64_t count = left < kTilesInChunk ? left : kTilesInChunk;
      for (int64_t b = 0; b < num_blocks; ++b) step(b, group_.tiles + first, count);
    }
    for (int64_t b = 0; b < num_blocks; ++b) end(b);
  }

 private:
  Block at(int64_t b) const {
    char* const memory = blocks_ + b * layout_.block_bytes();
    return {reinterpret_cast<uint8_t*>(memory),
            reinterpret_cast<float*>(memory + layout_.q_bytes()),
            reinterpret_cast<State*>(memory + layout_.q_bytes() + layout_.out_bytes())};
  }
  int64_t rows_of(int64_t b) const {
    const int64_t left = group_.num_rows - b * kRows;
    return left < kRows ? left : kRows;
  }
  Int8KeyTile key_tile(int32_t tile) const {
    return int8_key_tile(static_cast<char*>(const_cast<void*>(group_.keys)) +
                             tile * int8_key_tile_bytes(group_.width),
                         group_.width);
  }

  void begin(int64_t b) const {
    const Block block = at(b);
    const auto* q = static_cast<const uint16_t*>(group_.q) + b * kRows * group_.q_stride;
    const int64_t rows = rows_of(b), whole = layout_.whole;
    for (int64_t row = 0; row < kRows; ++row) {
      const uint16_t* from = q + row * group_.q_stride;
      const int64_t width = row < rows ? group_.width : 0;
      __m512 top = _mm512_setzero_ps();
      for (int64_t k = 0; k < width; k += kLanes)
        top = _mm512_max_ps(top, _mm512_abs_ps(widened(from + k, width - k)));
      const Int8Step step = int8_step(_mm512_reduce_max_ps(top));
      block.state->q_scale[row] = step.size;
      const __m512 inverse = _mm512_set1_ps(step.inverse);
      for (int64_t k = 0; k < whole; k += kLanes) {
        const __m512 x = k < width ? widened(from + k, width - k) : _mm512_setzero_ps();
        const __m512i number = _mm512_cvtps_epi32(_mm512_mul_ps(x, inverse));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(block.q + row * whole + k),
                         _mm512_cvtusepi32_epi8(_mm512_add_epi32(number, _mm512_set1_epi32(128))));
      }
    }
    for (int64_t row = 0; row < kRows; ++row) {
      block.state->m[row] = kMinusInfinity;
      block.state->sum[row] = 0.0F;
    }
    for (int64_t i = 0; i < kRows * whole; i += kLanes)
      _mm512_storeu_ps(block.out + i, _mm512_setzero_ps());
  }

  void step(int64_t b, const int32_t* tiles, int64_t count) {
    const Block block = at(b);
    const int64_t whole = layout_.whole;
    constexpr int kScoreRows = 6, kValueRows = 12;
    for (int64_t t = 0; t < count; ++t) {
      const Int8KeyTile keys = key_tile(tiles[t]);
      for (int64_t row = 0; row < kRows; row += kScoreRows) {
        Registers<kScoreRows, 4> registers;
        registers.begin(keys.first);
        registers.add(block.q + row * whole, whole, keys.numbers, whole / 4);
        for (int i = 0; i < kScoreRows; ++i) {
          for (int v = 0; v < 4; ++v)
            _mm512_storeu_si512(scores_ + (t * kRows + row + i) * kKeys + v * kLanes,
                                registers.sums[i][v]);
        }
      }
    }
    alignas(64) float kept[kRows], added[kRows];  // factors of what was summed, and of this chunk
    softmax(block, b * kRows, tiles, count, kept, added);
    for (int64_t piece = 0; piece < whole / 32; ++piece) {
      for (int64_t row = 0; row < kRows; row += kValueRows) {
        Registers<kValueRows, 2> registers;
        registers.begin(nullptr);
        for (int64_t t = 0; t < count; ++t) {
          registers.add(probabilities_ + (t * kRows + row) * kKeys, kKeys,
                        static_cast<const int8_t*>(group_.values) +
                            (tiles[t] * (whole / 32) + piece) * kKeys * 32,
                        kQuads);
        }
        float* out = block.out + (piece * kRows + row) * 32;
        for (int i = 0; i < kValueRows; ++i) {
          const __m512 old = _mm512_set1_ps(kept[row + i]), now = _mm512_set1_ps(added[row + i]);
          for (int v = 0; v < 2; ++v) {
            float* place = out + i * 32 + v * kLanes;
            const __m512 sums = _mm512_mul_ps(_mm512_cvtepi32_ps(registers.sums[i][v]), now);
            _mm512_storeu_ps(place, _mm512_fmadd_ps(_mm512_loadu_ps(place), old, sums));
          }
        }
      }
    }
  }

  // Scores of up to 256 keys to probabilities in 255ths of the row's largest.
  void softmax(const Block& block, int64_t first_row, const int32_t* tiles, int64_t count,
               float* kept, float* added) {
    alignas(64) float tops[kRows], sums[kRows];
    for (int64_t row = 0; row < kRows; ++row) tops[row] = kMinusInfinity;
    for (int64_t t = 0; t < count; ++t) {
      const Int8KeyTile keys = key_tile(tiles[t]);
      const float* bias = group_.bias != nullptr         ? group_.bias + tiles[t] * kKeys
                          : tiles[t] == group_.last_tile ? group_.last_bias
                                                         : nullptr;
      for (int64_t row = 0; row < kRows; ++row) {
        const __m512 scale = _mm512_set1_ps(block.state->q_scale[row] * group_.scale);
        int32_t* scores = scores_ + (t * kRows + row) * kKeys;
        __m512 top = _mm512_set1_ps(kMinusInfinity);
        for (int64_t i = 0; i < kKeys; i += kLanes) {
          __m512 x = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_loadu_si512(scores + i)),
                                   _mm512_mul_ps(_mm512_loadu_ps(keys.scale + i), scale));
          if (group_.scales_far)
            x = scaled_if_far(group_, x,
                              tiles[t] * kKeys + i - group_.first_token - first_row - row);
          if (bias != nullptr) x = _mm512_add_ps(x, _mm512_loadu_ps(bias + i));
          top = _mm512_max_ps(top, x);
          _mm512_storeu_ps(scores + i, x);
        }
        const float most = _mm512_reduce_max_ps(top);
        if (!(most <= tops[row])) tops[row] = most;  // NaN too
      }
    }
    const __m512i ones = _mm512_set1_epi8(1);
    constexpr float kLog2Of255 = 7.9943534F;
    for (int64_t row = 0; row < kRows; ++row) {
      const float top = tops[row] == kMinusInfinity ? 0.0F : tops[row];
      const __m512 shift = _mm512_set1_ps(kLog2Of255 - top);
      __m512i sum = _mm512_setzero_si512();
      for (int64_t t = 0; t < count; ++t) {
        const int32_t* scores = scores_ + (t * kRows + row) * kKeys;
        __m512i parts[4];
        for (int v = 0; v < 4; ++v) {
          const __m512 x = _mm512_add_ps(_mm512_loadu_ps(scores + v * kLanes), shift);
          parts[v] = _mm512_cvtps_epi32(power_of_two(x));
        }
        const __m512i bytes = _mm512_packus_epi16(_mm512_packs_epi32(parts[0], parts[1]),
                                                  _mm512_packs_epi32(parts[2], parts[3]));
        sum = _mm512_dpbusd_epi32(sum, bytes, ones);
        _mm512_storeu_si512(probabilities_ + (t * kRows + row) * kKeys, bytes);
      }
      sums[row] = static_cast<float>(_mm512_reduce_add_epi32(sum));
    }
    State& state = *block.state;
    for (int64_t row = 0; row < kRows; row += kLanes) {
      const __m512 top = _mm512_load_ps(tops + row), before = _mm512_load_ps(state.m + row);
      const __m512 m = _mm512_max_ps(before, top);
      const __mmask16 hidden = _mm512_cmp_ps_mask(m, _mm512_set1_ps(kMinusInfinity), _CMP_EQ_OQ);
      const __m512 old =
          _mm512_mask_mov_ps(power_of_two(_mm512_sub_ps(before, m)), hidden, _mm512_setzero_ps());
      const __m512 now =
          _mm512_mask_mov_ps(power_of_two(_mm512_sub_ps(top, m)), hidden, _mm512_setzero_ps());
      _mm512_store_ps(kept + row, old);
      _mm512_store_ps(added + row, now);
      _mm512_store_ps(state.m + row, m);
      const __m512 sum = _mm512_mul_ps(_mm512_load_ps(sums + row), now);
      _mm512_store_ps(state.sum + row, _mm512_fmadd_ps(_mm512_load_ps(state.sum + row), old, sum));
    }
  }

  void end(int64_t b) const {
    const Block block = at(b);
    auto* out = static_cast<uint16_t*>(group_.out) + b * kRows * group_.out_stride;
    for (int64_t row = 0; row < rows_of(b); ++row) {
      const __m512 inverse = _mm512_set1_ps(1.0F / block.state->sum[row]);
      for (int64_t k = 0; k < group_.width; k += kLanes) {
        const __m512 mean = _mm512_mul_ps(
            _mm512_loadu_ps(block.out + (k / 32 * kRows + row) * 32 + k % 32), inverse);
        const __m512 y = _mm512_fmadd_ps(mean, _mm512_loadu_ps(group_.value_scale + k),
                                         _mm512_loadu_ps(group_.value_mean + k));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + row * group_.out_stride + k),
                            rounded(y));
      }
    }
  }

  const AttentionGroup& group_;
  Layout layout_;
  int32_t* scores_;  // and then logits in f32
  uint8_t* probabilities_;
  char* blocks_;
};

// 16 numbers of a row less their means, times `inverse`, rounded.
inline __m128i rounded(const uint16_t* x, const float* mean, int64_t left, __m512 inverse) {
  const __m512 value = _mm512_sub_ps(widened(x, left), _mm512_loadu_ps(mean));
  return _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(value, inverse)));
}

}  // namespace

int64_t attention_scratch_int8_avx512bf16(int64_t num_rows, int64_t width) {
  return Layout::kScoreBytes + Layout::kProbabilityBytes +
         (num_rows + kRows - 1) / kRows * Layout(width).block_bytes();
}

void attend_int8_avx512bf16(const AttentionGroup& group, void* scratch) {
  Group(group, scratch).run();
}

void int8_means_avx512bf16(const uint16_t* x, int64_t stride, int64_t count, int64_t width,
                           float* mean) {
  for (int64_t k = 0; k < whole_width(width); k += kLanes) {
    __m512 sum = _mm512_setzero_ps();
    if (k < width) {
      for (int64_t s = 0; s < count; ++s)
        sum = _mm512_add_ps(sum, widened(x + s * stride + k, width - k));
    }
    _mm512_storeu_ps(mean + k, _mm512_div_ps(sum, _mm512_set1_ps(static_cast<float>(count))));
  }
}

void int8_value_scales_avx512bf16(const uint16_t* values, int64_t stride, int64_t count,
                                  int64_t width, const float* mean, float* scale) {
  for (int64_t k = 0; k < whole_width(width); k += kLanes) {
    __m512 top = _mm512_setzero_ps();
    for (int64_t s = 0; s < count && k < width; ++s) {
      const __m512 value =
          _mm512_sub_ps(widened(values + s * stride + k, width - k), _mm512_loadu_ps(mean + k));
      top = _mm512_max_ps(top, _mm512_abs_ps(value));
    }
    _mm512_storeu_ps(scale + k, _mm512_div_ps(top, _mm512_set1_ps(kInt8Most)));
  }
}

void pack_keys_int8_avx512bf16(const uint16_t* keys, int64_t stride, int64_t count, int64_t width,
                               const float* mean, void* tile) {
  constexpr int64_t kMostWidth = 256;
  const Int8KeyTile to = int8_key_tile(tile, width);
  const int64_t whole = whole_width(width);
  alignas(64) int8_t rows[kKeys][kMostWidth];
  for (int64_t s = 0; s < kKeys; ++s) {
    const uint16_t* from = keys + s * stride;
    __m512 top = _mm512_setzero_ps();
    for (int64_t k = 0; k < width && s < count; k += kLanes) {
      const __m512 value = _mm512_sub_ps(widened(from + k, width - k), _mm512_loadu_ps(mean + k));
      top = _mm512_max_ps(top, _mm512_abs_ps(value));
    }
    const Int8Step step = int8_step(_mm512_reduce_max_ps(top));
    to.scale[s] = step.size;
    const __m512 inverse = _mm512_set1_ps(step.inverse);
    __m512i sum = _mm512_setzero_si512();
    for (int64_t k = 0; k < whole; k += kLanes) {
      const __m128i numbers = k < width && s < count
                                  ? rounded(from + k, mean + k, width - k, inverse)
                                  : _mm_setzero_si128();
      _mm_storeu_si128(reinterpret_cast<__m128i*>(rows[s] + k), numbers);
      sum = _mm512_add_epi32(sum, _mm512_cvtepi8_epi32(numbers));
    }
    to.first[s] = -128 * _mm512_reduce_add_epi32(sum);
  }
  // Four numbers of each key side by side.
  for (int64_t s = 0; s < kKeys; s += kLanes) {
    for (int64_t k = 0; k < whole; k += 4 * kLanes) {
      const int64_t quads = (whole - k) / 4 < kLanes ? (whole - k) / 4 : kLanes;
      __m512i keys_by_quads[kLanes];
      for (int64_t i = 0; i < kLanes; ++i)
        keys_by_quads[i] = _mm512_maskz_loadu_epi32(first_of_16(quads), rows[s + i] + k);
      transpose(keys_by_quads);
      for (int64_t q = 0; q < quads; ++q)
        _mm512_storeu_si512(to.numbers + (k / 4 + q) * kKeys * 4 + s * 4, keys_by_quads[q]);
    }
  }
}

void pack_values_int8_avx512bf16(const uint16_t* values, int64_t stride, int64_t count,
                                 int64_t width, const float* mean, const float* scale,
                                 int8_t* tile) {
  for (int64_t quad = 0; quad < kQuads; ++quad) {
    // In the order in which 32-bit numbers are packed to bytes: Group::softmax().
    const int64_t s = 16 * (quad % 4) + 4 * (quad / 4);
    for (int64_t k = 0; k < whole_width(width); k += kLanes) {
      const __m512 step = _mm512_loadu_ps(scale + k);
      const __mmask16 any = _mm512_cmp_ps_mask(step, _mm512_set1_ps(kInt8Least), _CMP_GE_OQ);
      const __m512 inverse = _mm512_maskz_div_ps(any, _mm512_set1_ps(1.0F), step);
      const auto row = [&](int64_t i) {
        return s + i < count && k < width
                   ? rounded(values + (s + i) * stride + k, mean + k, width - k, inverse)
                   : _mm_setzero_si128();
      };
      const __m128i r0 = row(0), r1 = row(1), r2 = row(2), r3 = row(3);
      const __m128i a = _mm_unpacklo_epi8(r0, r1), b = _mm_unpacklo_epi8(r2, r3),
                    c = _mm_unpackhi_epi8(r0, r1), d = _mm_unpackhi_epi8(r2, r3);
      int8_t* const to = tile + (k / 32 * kQuads + quad) * 128 + k % 32 * 4;
      const __m128i columns[4] = {_mm_unpacklo_epi16(a, b), _mm_unpackhi_epi16(a, b),
                                  _mm_unpacklo_epi16(c, d), _mm_unpackhi_epi16(c, d)};
      for (int64_t i = 0; i < 4; ++i)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to + i * 16), columns[i]);
    }
  }
}

}  // namespace sora::kernels::cpu
