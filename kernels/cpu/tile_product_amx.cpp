#include "kernels/cpu/intrinsics.h"
#include "kernels/cpu/tile_config_amx.h"
#include "kernels/cpu/tile_finish.h"
#include "kernels/cpu/tile_product.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kLine = 64;           // bytes that are fetched at once
constexpr int64_t kPiecesInCache = 16;  // of a panel, in the first-level cache
constexpr int64_t kLinesOfSums = kSums * 4 / kLine / kPiecesInCache;  // asked for beside a piece
// Of x, in the second-level cache with kMostBlocks: in one pass, and in each where there are more,
// whose sums of all columns pass by besides.
constexpr int64_t kMostPieces = 64, kPiecesInPass = 48;
static_assert(kPiecesInPass % kPiecesInCache == 0, "sums are interrupted where they are anyway");

template <bool kInt8>
void multiply(const TileProduct& product, int64_t first_block, int64_t num_blocks,
              int64_t first_panel, int64_t num_panels, void* scratch) {
  const char* const x = static_cast<const char*>(product.x);
  const char* const weight = static_cast<const char*>(product.weight);
  float* const all_sums = static_cast<float*>(scratch);
  const bool one_pass = product.pieces <= kMostPieces;
  const int64_t most = one_pass ? kMostPieces : kPiecesInPass;
  begin_tiles();
  Finish<kInt8> finish(product, first_block, num_blocks);
  for (int64_t pass = 0; pass < product.pieces; pass += most) {
    const int64_t pass_end = product.pieces - pass < most ? product.pieces : pass + most;
    for (int64_t panel = first_panel; panel < first_panel + num_panels; ++panel) {
      const int64_t place = one_pass ? (panel - first_panel) % 2 : panel - first_panel;
      float* const panel_sums = all_sums + place * kMostBlocks * kSums;
      for (int64_t begin = pass; begin < pass_end; begin += kPiecesInCache) {
        const int64_t end = pass_end - begin < kPiecesInCache ? pass_end : begin + kPiecesInCache;
        const char* const right = weight + (panel * product.pieces + begin) * kPieceSize;
        // What comes after these columns, or what is next of them, a share at each step: from the
        // third-level cache to the second, as the first is full.
        const char* next = right + (end - begin) * kPieceSize;
        const int64_t lines = (kPieceSize / kLine + num_blocks - 1) / num_blocks;
        for (int64_t block = 0; block < num_blocks; ++block) {
          float* sums = panel_sums + block * kSums;
          const auto* next_sums = reinterpret_cast<const char*>(
              panel_sums + (block + 1 < num_blocks ? block + 1 : 0) * kSums);
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
            for (int64_t line = 0; line < kLinesOfSums; ++line, next_sums += kLine)
              _mm_prefetch(next_sums, _MM_HINT_T0);
            for (int64_t line = 0; line < lines; ++line, next += kLine)
              _mm_prefetch(next, _MM_HINT_T1);
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

}  // namespace

void multiply_tiles_bf16_amx(const TileProduct& product, int64_t first_block, int64_t num_blocks,
                             int64_t first_panel, int64_t num_panels, void* scratch) {
  multiply<false>(product, first_block, num_blocks, first_panel, num_panels, scratch);
}

void multiply_tiles_int8_amx(const TileProduct& product, int64_t first_block, int64_t num_blocks,
                             int64_t first_panel, int64_t num_panels, void* scratch) {
  multiply<true>(product, first_block, num_blocks, first_panel, num_panels, scratch);
}

}  // namespace sora::kernels::cpu
