// Note [Tile products] on the vector units.

#include "kernels/cpu/intrinsics.h"
#include "kernels/cpu/register_sums.h"
#include "kernels/cpu/tile_finish.h"
#include "kernels/cpu/tile_product.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kPiecesInCache = 8;  // of a panel, in a first-level cache of 32 KB, with x's
constexpr int64_t kMostPieces = 32;    // of x, in a second-level cache of 1 MB with kMostBlocks
constexpr int kRows = 8;               // of sums in registers, by two registers
constexpr int64_t kSteps = kPieceBytes / 4;

// sum + four bytes of x, the same for all columns, times those of 16 columns.
template <bool kInt8>
inline __attribute__((always_inline)) __m512 add_product(__m512 sum, __m512i x, __m512i weight) {
  if (kInt8) return _mm512_castsi512_ps(_mm512_dpbusd_epi32(_mm512_castps_si512(sum), x, weight));
  return _mm512_dpbf16_ps(sum, reinterpret_cast<__m512bh>(x), reinterpret_cast<__m512bh>(weight));
}

// sums [8][32] of `pieces` pieces.
template <bool kInt8>
void multiply_rows(const char* x, const char* weight, int64_t pieces, bool is_first, float* sums) {
  RegisterSums<kRows> registers;
  is_first ? registers.clear() : registers.load(sums);
  for (int64_t piece = 0; piece < pieces; ++piece) {
    for (int64_t step = 0; step < kSteps; ++step) {
      const __m512i left = _mm512_loadu_si512(weight + step * 128),
                    right = _mm512_loadu_si512(weight + step * 128 + 64);
#pragma GCC unroll 8
      for (int row = 0; row < kRows; ++row) {
        int32_t four;
        __builtin_memcpy(&four, x + row * kPieceBytes + step * 4, sizeof four);
        const __m512i all = _mm512_set1_epi32(four);
        __m512(&sum)[2] = registers.sums[row];
        sum[0] = add_product<kInt8>(sum[0], all, left);
        sum[1] = add_product<kInt8>(sum[1], all, right);
      }
    }
    x += kPieceSize;
    weight += kPieceSize;
  }
  registers.store(sums);
}

template <bool kInt8>
void multiply(const TileProduct& product, int64_t first_block, int64_t num_blocks,
              int64_t first_panel, int64_t num_panels, void* scratch) {
  const char* const x = static_cast<const char*>(product.x);
  const char* const weight = static_cast<const char*>(product.weight);
  const int64_t last_row = product.rows - first_block * kPieceRows;
  const int64_t rows = last_row < num_blocks * kPieceRows ? last_row : num_blocks * kPieceRows;
  float* const all_sums = static_cast<float*>(scratch);
  const bool one_pass = product.pieces <= kMostPieces;
  Finish<kInt8> finish(product, first_block, num_blocks);
  for (int64_t pass = 0; pass < product.pieces; pass += kMostPieces) {
    const int64_t pass_end =
        product.pieces - pass < kMostPieces ? product.pieces : pass + kMostPieces;
    for (int64_t panel = first_panel; panel < first_panel + num_panels; ++panel) {
      float* const sums = all_sums + (one_pass ? 0 : (panel - first_panel) * kMostBlocks * kSums);
      for (int64_t begin = pass; begin < pass_end; begin += kPiecesInCache) {
        const int64_t end = pass_end - begin < kPiecesInCache ? pass_end : begin + kPiecesInCache;
        const char* const right = weight + (panel * product.pieces + begin) * kPieceSize;
        for (int64_t row = 0; row < rows; row += kRows) {
          const int64_t block = first_block + row / kPieceRows;
          multiply_rows<kInt8>(
              x + (block * product.pieces + begin) * kPieceSize + row % kPieceRows * kPieceBytes,
              right, end - begin, begin == 0, sums + row * kPieceRows);
        }
      }
      if (pass_end == product.pieces) {
        finish.begin(sums, panel);
        finish.all();
      }
    }
  }
}

}  // namespace

void multiply_tiles_bf16_avx512bf16(const TileProduct& product, int64_t first_block,
                                    int64_t num_blocks, int64_t first_panel, int64_t num_panels,
                                    void* scratch) {
  multiply<false>(product, first_block, num_blocks, first_panel, num_panels, scratch);
}

void multiply_tiles_int8_avx512bf16(const TileProduct& product, int64_t first_block,
                                    int64_t num_blocks, int64_t first_panel, int64_t num_panels,
                                    void* scratch) {
  multiply<true>(product, first_block, num_blocks, first_panel, num_panels, scratch);
}

}  // namespace sora::kernels::cpu
