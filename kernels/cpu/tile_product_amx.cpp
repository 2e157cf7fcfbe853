// gcc 12 takes the undefined pass-through operands of its own intrinsics for a mistake of the
// caller (bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop

#include "kernels/cpu/attention_group.h"
#include "kernels/cpu/power_of_two_avx512.h"
#include "kernels/cpu/tile_config_amx.h"
#include "kernels/cpu/tile_product.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kLanes = 16;
constexpr int64_t kPiecesInCache = 16;  // of a panel, in the first-level cache
constexpr int64_t kMostPieces = 64;     // of x, in the second-level cache with kMostBlocks
constexpr int64_t kSums = kPieceRows * kPieceRows;

inline __m512 gated(__m512 z, SigmoidGate gate) {
  constexpr float kLog2E = 1.44269504F;
  const __m512 slope = _mm512_fmadd_ps(_mm512_mul_ps(z, z), _mm512_set1_ps(-gate.b * kLog2E),
                                       _mm512_set1_ps(-gate.a * kLog2E));
  const __m512 u = _mm512_mul_ps(z, slope);
  // 2^u beyond the range of power_of_two(): the sigmoid is 0.
  const __mmask16 in_range = _mm512_cmp_ps_mask(u, _mm512_set1_ps(126.0F), _CMP_NGT_UQ);
  const __m512 e = power_of_two(u);
  return _mm512_mul_ps(z, _mm512_maskz_rcp14_ps(in_range, _mm512_add_ps(_mm512_set1_ps(1.0F), e)));
}

// The last step of a panel's sums, a row at a time between the products of others.
template <bool kInt8>
class Finish {
 public:
  Finish(const TileProduct& product, int64_t first_block, int64_t num_blocks)
      : product_(product), first_row_(first_block * kPieceRows) {
    num_rows_ = num_blocks * kPieceRows;
    if (num_rows_ > product.rows - first_row_) num_rows_ = product.rows - first_row_;
    row_ = num_rows_;
  }

  void begin(const float* sums, int64_t panel) {
    sums_ = sums;
    panel_ = panel;
    row_ = 0;
  }
  __attribute__((always_inline)) void step() {
    if (row_ < num_rows_) finish_row(row_++);
  }
  void all() {
    while (row_ < num_rows_) finish_row(row_++);
  }

 private:
  __attribute__((always_inline)) __m512 half(int64_t row, int64_t first) const {
    const float* sums = sums_ + row * kPieceRows + first;
    const int64_t column = panel_ * kPieceRows + first;
    __m512 z = _mm512_load_ps(sums);
    if (kInt8) {
      const __m512 scale = _mm512_mul_ps(_mm512_loadu_ps(product_.column_scale + column),
                                         _mm512_set1_ps(product_.row_scale[first_row_ + row]));
      z = _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_castps_si512(z)), scale);
    }
    if (product_.bias != nullptr) z = _mm512_add_ps(z, _mm512_loadu_ps(product_.bias + column));
    return product_.gate.a != 0.0F ? gated(z, product_.gate) : z;
  }

  void finish_row(int64_t row) const {
    const __m512 low = half(row, 0), high = half(row, kLanes);
    const __m512i y = reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
    const int64_t place = first_row_ + row;
    if (product_.packed_y != nullptr) {
      const int64_t panels = (product_.columns + kPieceRows - 1) / kPieceRows;
      const int64_t piece = place / kPieceRows * panels + panel_;
      _mm512_storeu_si512(product_.packed_y + piece * kSums + place % kPieceRows * kPieceRows, y);
      return;
    }
    const int64_t left = product_.columns - panel_ * kPieceRows;
    const __mmask32 mask = left >= 32 ? 0xffffffffU : (1U << left) - 1;
    _mm512_mask_storeu_epi16(product_.y + place * product_.columns + panel_ * kPieceRows, mask, y);
  }

  const TileProduct& product_;
  int64_t first_row_, num_rows_, row_;
  const float* sums_ = nullptr;
  int64_t panel_ = 0;
};

template <bool kInt8>
void multiply(const TileProduct& product, int64_t first_block, int64_t num_blocks,
              int64_t first_panel, int64_t num_panels, void* scratch) {
  const char* const x = static_cast<const char*>(product.x);
  const char* const weight = static_cast<const char*>(product.weight);
  float* const all_sums = static_cast<float*>(scratch);
  const bool one_pass = product.pieces <= kMostPieces;
  const TileConfig config;
  _tile_loadconfig(&config);
  Finish<kInt8> finish(product, first_block, num_blocks);
  for (int64_t pass = 0; pass < product.pieces; pass += kMostPieces) {
    const int64_t pass_end =
        product.pieces - pass < kMostPieces ? product.pieces : pass + kMostPieces;
    for (int64_t panel = first_panel; panel < first_panel + num_panels; ++panel) {
      const int64_t place = one_pass ? (panel - first_panel) % 2 : panel - first_panel;
      float* const panel_sums = all_sums + place * kMostBlocks * kSums;
      for (int64_t begin = pass; begin < pass_end; begin += kPiecesInCache) {
        const int64_t end = pass_end - begin < kPiecesInCache ? pass_end : begin + kPiecesInCache;
        const char* const right = weight + (panel * product.pieces + begin) * kPieceSize;
        // What comes after these columns, or what is next of them, a share at each step.
        const char* next = right + (end - begin) * kPieceSize;
        const int64_t lines = (kPieceSize / 64 + num_blocks - 1) / num_blocks;
        for (int64_t block = 0; block < num_blocks; ++block) {
          float* sums = panel_sums + block * kSums;
          const char* a = x + ((first_block + block) * product.pieces + begin) * kPieceSize;
          const char* b = right;
          if (begin == 0) {
            _tile_zero(0);
            _tile_zero(1);
            _tile_zero(2);
            _tile_zero(3);
          } else {
            _tile_loadd(0, sums, 128);
            _tile_loadd(1, sums + 16, 128);
            _tile_loadd(2, sums + 16 * 32, 128);
            _tile_loadd(3, sums + 16 * 32 + 16, 128);
          }
          for (int64_t piece = begin; piece < end; ++piece) {
            _tile_stream_loadd(4, a, 64);
            _tile_loadd(6, b, 128);
            _tile_loadd(7, b + 64, 128);
            _tile_stream_loadd(5, a + kPieceSize / 2, 64);
            if (kInt8) {
              _tile_dpbssd(0, 4, 6);
              _tile_dpbssd(1, 4, 7);
              _tile_dpbssd(2, 5, 6);
              _tile_dpbssd(3, 5, 7);
            } else {
              _tile_dpbf16ps(0, 4, 6);
              _tile_dpbf16ps(1, 4, 7);
              _tile_dpbf16ps(2, 5, 6);
              _tile_dpbf16ps(3, 5, 7);
            }
            for (int64_t line = 0; line < lines; ++line, next += 64)
              _mm_prefetch(next, _MM_HINT_T0);
            finish.step();
            a += kPieceSize;
            b += kPieceSize;
          }
          _tile_stored(0, sums, 128);
          _tile_stored(1, sums + 16, 128);
          _tile_stored(2, sums + 16 * 32, 128);
          _tile_stored(3, sums + 16 * 32 + 16, 128);
        }
      }
      if (pass_end == product.pieces) {
        finish.all();
        finish.begin(panel_sums, panel);
      }
    }
  }
  finish.all();
  _tile_release();
}

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
  __m512i bytes = _mm512_setzero_si512();
  __m128i parts[4];
  for (int64_t i = 0; i < 4; ++i) {
    const int64_t count = left - 16 * i;
    const __mmask16 mask = count >= 16 ? 0xffff : count <= 0 ? 0 : (1U << count) - 1;
    const __m512i wide =
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, x + 16 * i)), 16);
    parts[i] = _mm512_cvtsepi32_epi8(
        _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_castsi512_ps(wide), inverse)));
  }
  bytes = _mm512_inserti32x4(bytes, parts[0], 0);
  bytes = _mm512_inserti32x4(bytes, parts[1], 1);
  bytes = _mm512_inserti32x4(bytes, parts[2], 2);
  return _mm512_inserti32x4(bytes, parts[3], 3);
}

}  // namespace

int64_t tile_product_scratch_amx(int64_t pieces, int64_t /*num_blocks*/, int64_t num_panels) {
  return (pieces <= kMostPieces ? 2 : num_panels) * kMostBlocks * kSums *
         static_cast<int64_t>(sizeof(float));
}

void multiply_tiles_bf16_amx(const TileProduct& product, int64_t first_block, int64_t num_blocks,
                             int64_t first_panel, int64_t num_panels, void* scratch) {
  multiply<false>(product, first_block, num_blocks, first_panel, num_panels, scratch);
}

void multiply_tiles_int8_amx(const TileProduct& product, int64_t first_block, int64_t num_blocks,
                             int64_t first_panel, int64_t num_panels, void* scratch) {
  multiply<true>(product, first_block, num_blocks, first_panel, num_panels, scratch);
}

void pack_rows_amx(const uint16_t* x, int64_t stride, int64_t rows, int64_t depth, void* block) {
  char* to = static_cast<char*>(block);
  for (int64_t k = 0; k < depth; k += 32) {
    const __mmask32 mask = depth - k >= 32 ? 0xffffffffU : (1U << (depth - k)) - 1;
    for (int64_t row = 0; row < kPieceRows; ++row, to += kPieceBytes) {
      _mm512_storeu_si512(to, row < rows ? _mm512_maskz_loadu_epi16(mask, x + row * stride + k)
                                         : _mm512_setzero_si512());
    }
  }
}

void quantise_rows_amx(const uint16_t* x, int64_t stride, int64_t rows, int64_t depth, void* block,
                       float* scale) {
  constexpr float kMost = 127.0F;
  char* const to = static_cast<char*>(block);
  for (int64_t row = 0; row < kPieceRows; ++row) {
    const float top = row < rows ? largest(x + row * stride, depth) : 0.0F;
    scale[row] = top / kMost;
    const __m512 inverse = _mm512_set1_ps(top > 0.0F ? kMost / top : 0.0F);
    for (int64_t k = 0; k < depth; k += kPieceBytes) {
      _mm512_storeu_si512(to + k * kPieceRows + row * kPieceBytes,
                          row < rows ? quantised(x + row * stride + k, depth - k, inverse)
                                     : _mm512_setzero_si512());
    }
  }
}

void pack_panel_amx(const uint16_t* weight, int64_t stride, int64_t columns, int64_t depth,
                    void* panel) {
  pack_keys_avx512bf16(weight, stride, columns, depth, static_cast<uint16_t*>(panel));
}

void quantise_panel_amx(const uint16_t* weight, int64_t stride, int64_t columns, int64_t depth,
                        void* panel, float* scale) {
  // As rows first, a piece at a time; then four numbers of each of 32 columns side by side.
  quantise_rows_amx(weight, stride, columns, depth, panel, scale);
  for (int64_t k = 0; k < depth; k += kPieceBytes) {
    uint32_t* const piece = reinterpret_cast<uint32_t*>(static_cast<char*>(panel) + k * kPieceRows);
    uint32_t rows[kPieceRows][kPieceBytes / 4];
    __builtin_memcpy(rows, piece, sizeof rows);
    for (int64_t quad = 0; quad < kPieceBytes / 4; ++quad)
      for (int64_t column = 0; column < kPieceRows; ++column)
        piece[quad * kPieceRows + column] = rows[column][quad];
  }
}

}  // namespace sora::kernels::cpu
