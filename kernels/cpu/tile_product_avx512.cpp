// Note [Tile products] with multiply-adds of f32.

#include "kernels/cpu/intrinsics.h"
#include "kernels/cpu/lanes_avx512.h"
#include "kernels/cpu/register_sums_avx512.h"
#include "kernels/cpu/tile_finish_avx512.h"
#include "kernels/cpu/tile_product.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kPiecesInCache = 4;  // of a panel, in f32 in half of a first-level cache of 32 KB
constexpr int64_t kRows = 8;           // of sums in registers, by two registers
constexpr int64_t kNumbers = kPieceBytes / 2;  // of depth, in a piece

// A piece of x in f32: [32 rows][32].
void widen_rows(const uint16_t* piece, float* wide) {
  for (int64_t i = 0; i < kSums; i += kLanes)
    _mm512_store_ps(wide + i,
                    widened(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(piece + i))));
}

// A piece of a panel in f32: [32 numbers of depth][32 columns].
void widen_panel(const uint16_t* piece, float* wide) {
  for (int64_t pair = 0; pair < kNumbers / 2; ++pair, piece += 64, wide += 64) {
    const __m512i left = _mm512_loadu_si512(piece), right = _mm512_loadu_si512(piece + 32);
    _mm512_store_ps(wide, even_of(left));
    _mm512_store_ps(wide + 16, even_of(right));
    _mm512_store_ps(wide + 32, odd_of(left));
    _mm512_store_ps(wide + 48, odd_of(right));
  }
}

// sums [8][32] of `pieces` pieces of x and of a panel, both in f32.
void multiply_rows(const float* x, const float* panel, int64_t pieces, bool is_first, float* sums) {
  RegisterSums<kRows> registers;
  is_first ? registers.clear() : registers.load(sums);
  for (int64_t piece = 0; piece < pieces; ++piece, x += kSums) {
    for (int64_t k = 0; k < kNumbers; ++k, panel += kPieceRows) {
      _mm_prefetch(x + kRows * kNumbers + k * 8, _MM_HINT_T0);  // of the next rows
      registers.multiply_add(x + k, kNumbers, _mm512_load_ps(panel),
                             _mm512_load_ps(panel + kLanes));
    }
  }
  registers.store(sums);
}

}  // namespace

void multiply_tiles_bf16_avx512(const TileProduct& product, int64_t first_block, int64_t num_blocks,
                                int64_t first_panel, int64_t num_panels, void* scratch) {
  const auto* const x = static_cast<const uint16_t*>(product.x);
  const auto* const weight = static_cast<const uint16_t*>(product.weight);
  const int64_t last_row = product.rows - first_block * kPieceRows;
  const int64_t rows = last_row < num_blocks * kPieceRows ? last_row : num_blocks * kPieceRows;
  float* const wide_x = static_cast<float*>(scratch);  // [blocks][pieces of a pass][32][32]
  float* const wide_panel = wide_x + kMostBlocks * kWidePieces * kSums;
  float* const all_sums = wide_panel + kPiecesInCache * kSums;
  const bool one_pass = product.pieces <= kWidePieces;
  Finish<false> finish(product, first_block, num_blocks);
  for (int64_t pass = 0; pass < product.pieces; pass += kWidePieces) {
    const int64_t left = product.pieces - pass, count = left < kWidePieces ? left : kWidePieces;
    for (int64_t block = 0; block < num_blocks; ++block) {
      for (int64_t piece = 0; piece < count; ++piece)
        widen_rows(x + ((first_block + block) * product.pieces + pass + piece) * kSums,
                   wide_x + (block * count + piece) * kSums);
    }
    for (int64_t panel = first_panel; panel < first_panel + num_panels; ++panel) {
      float* const sums = all_sums + (one_pass ? 0 : (panel - first_panel) * kMostBlocks * kSums);
      for (int64_t begin = 0; begin < count; begin += kPiecesInCache) {
        const int64_t pieces = count - begin < kPiecesInCache ? count - begin : kPiecesInCache;
        for (int64_t piece = 0; piece < pieces; ++piece)
          widen_panel(weight + (panel * product.pieces + pass + begin + piece) * kSums,
                      wide_panel + piece * kSums);
        for (int64_t row = 0; row < rows; row += kRows) {
          multiply_rows(
              wide_x + (row / kPieceRows * count + begin) * kSums + row % kPieceRows * kNumbers,
              wide_panel, pieces, pass + begin == 0, sums + row * kPieceRows);
        }
      }
      if (pass + count == product.pieces) {
        finish.begin(sums, panel);
        finish.all();
      }
    }
  }
}

}  // namespace sora::kernels::cpu
