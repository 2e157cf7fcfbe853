// Note [Tiles and exponentials]
// On a core with AMX the exponentials of a softmax take about as long as the products around them,
// on different units. So the two are interleaved by hand: while the tile unit multiplies, the
// vector units work through the rows of scores of the tile before. A step takes 32 queries and up
// to 256 keys: their scores q k^T, and the product of probabilities and values of the step before.
// After each four products, which take the tile unit 64 cycles, comes a share of the rows.
//
// Queries of a group take turns with each chunk of keys, so that the chunk is read from the
// second-level cache.

// gcc 12 takes the undefined pass-through operands of its own intrinsics for a mistake of the
// caller (bug 105593).
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop

#include "kernels/cpu/attention_group.h"
#include "kernels/cpu/attention_softmax_avx512bf16.h"
#include "kernels/cpu/tile_config_amx.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kRows = 32;         // of queries
constexpr int64_t kTilesInChunk = 8;  // of keys
constexpr int64_t kLanes = 16;
constexpr int64_t kScores = kRows * kKeysInTile;
constexpr int64_t kRowBytes = 64;          // of a tile register, and of a row of 32 probabilities
constexpr int64_t kHalf = 16 * kRowBytes;  // a tile register

// The state of 32 queries between chunks.
struct Block {
  uint16_t* q;  // [32][whole width]
  float* sums;  // [whole width / 32][32][32]
  SoftmaxRows softmax;
};

struct Layout {
  explicit Layout(int64_t width) : whole(whole_width(width)) {}
  int64_t q_bytes() const { return kRows * whole * 2; }
  int64_t sum_bytes() const { return kRows * whole * 4; }
  int64_t block_bytes() const {
    return q_bytes() + sum_bytes() + static_cast<int64_t>(sizeof(SoftmaxState));
  }
  static constexpr int64_t kScoreBytes = kTilesInChunk * kScores * 4;
  static constexpr int64_t kProbabilityBytes = kTilesInChunk * kScores * 2;
  static constexpr int64_t kSharedBytes = kScoreBytes + 2 * kProbabilityBytes;
  int64_t whole;
};

// What a step multiplies with the values in the next one.
struct Pending {
  Block* block = nullptr;
  const uint16_t* probabilities = nullptr;
  const int32_t* tiles = nullptr;
  int64_t num_tiles = 0;
  bool first_chunk = false;
};

using SoftmaxWork = TileSoftmax<kRows>;

class Group {
 public:
  Group(const AttentionGroup& group, void* scratch)
      : group_(group), whole_(whole_width(group.width)), pieces_(whole_ / 32) {
    const Layout layout(group.width);
    char* memory = static_cast<char*>(scratch);
    scores_ = reinterpret_cast<float*>(memory);
    memory += Layout::kScoreBytes;
    for (uint16_t*& probabilities : probabilities_) {
      probabilities = reinterpret_cast<uint16_t*>(memory);
      memory += Layout::kProbabilityBytes;
    }
    blocks_ = memory;
    block_bytes_ = layout.block_bytes();
    sum_offset_ = layout.q_bytes();
    softmax_offset_ = layout.q_bytes() + layout.sum_bytes();
  }

  void run() {
    const int64_t num_blocks = (group_.num_rows + kRows - 1) / kRows;
    for (int64_t b = 0; b < num_blocks; ++b) begin(b);
    const TileConfig config;
    _tile_loadconfig(&config);
    Pending pending;
    int64_t parity = 0;
    Block block[2];
    for (int64_t first = 0; first < group_.num_tiles; first += kTilesInChunk) {
      const int64_t left = group_.num_tiles - first;
      const int64_t count = left < kTilesInChunk ? left : kTilesInChunk;
      for (int64_t b = 0; b < num_blocks; ++b) {
        block[parity] = at(b);
        step(block[parity], b * kRows, group_.tiles + first, count, probabilities_[parity],
             pending);
        pending = {&block[parity], probabilities_[parity], group_.tiles + first, count, first == 0};
        parity ^= 1;
      }
    }
    finish(pending);
    _tile_release();
    for (int64_t b = 0; b < num_blocks; ++b) end(b);
  }

 private:
  Block at(int64_t b) const {
    char* const memory = blocks_ + b * block_bytes_;
    return {reinterpret_cast<uint16_t*>(memory), reinterpret_cast<float*>(memory + sum_offset_),
            SoftmaxRows(reinterpret_cast<SoftmaxState*>(memory + softmax_offset_))};
  }

  int64_t rows_of(int64_t b) const {
    const int64_t left = group_.num_rows - b * kRows;
    return left < kRows ? left : kRows;
  }

  void begin(int64_t b) const {
    const Block block = at(b);
    const auto* q = static_cast<const uint16_t*>(group_.q) + b * kRows * group_.q_stride;
    const int64_t rows = rows_of(b);
    for (int64_t row = 0; row < kRows; ++row) {
      for (int64_t k = 0; k < whole_; k += 32) {
        const int64_t left = row < rows ? group_.width - k : 0;
        const __mmask32 mask = left >= 32 ? 0xffffffffU : (1U << left) - 1;
        _mm512_store_si512(block.q + row * whole_ + k,
                           _mm512_maskz_loadu_epi16(mask, q + row * group_.q_stride + k));
      }
    }
    block.softmax.begin();
  }

  void end(int64_t b) const {
    const Block block = at(b);
    auto* out = static_cast<uint16_t*>(group_.out) + b * kRows * group_.out_stride;
    for (int64_t row = 0; row < rows_of(b); ++row) {
      const __m512 inverse = _mm512_set1_ps(1.0F / block.softmax.sum(row));
      for (int64_t k = 0; k < group_.width; k += kLanes) {
        const float* sums = block.sums + k / 32 * kScores + row * 32 + k % 32;
        const __m512 all = group_.num_tiles == 0 ? _mm512_setzero_ps() : _mm512_load_ps(sums);
        const __m512 y = _mm512_mul_ps(all, inverse);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + row * group_.out_stride + k),
                            reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(y)));
      }
    }
  }

  // Scores of 32 queries and a tile of keys, with `rows` of the softmax after each four products.
  void multiply_keys(const Block& block, int32_t tile, float* scores, SoftmaxWork& work,
                     int64_t rows) const {
    const uint16_t* keys = static_cast<const uint16_t*>(group_.keys) + tile * whole_ * kKeysInTile;
    const int64_t q_bytes = whole_ * 2;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (int64_t piece = 0; piece < pieces_; ++piece) {
      const uint16_t* q = block.q + piece * 32;
      const uint16_t* k = keys + piece * kScores;
      _tile_loadd(4, q, q_bytes);
      _tile_loadd(6, k, 128);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(7, k + 32, 128);
      _tile_dpbf16ps(1, 4, 7);
      _tile_loadd(5, q + 16 * whole_, q_bytes);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
      work.run(rows);
    }
    _tile_stored(0, scores, 128);
    _tile_stored(1, scores + 16, 128);
    _tile_stored(2, scores + 16 * 32, 128);
    _tile_stored(3, scores + 16 * 32 + 16, 128);
  }

  // 32 columns of probabilities times values, added to the sums.
  void multiply_values(const Pending& pending, int64_t piece, SoftmaxWork& work,
                       int64_t rows) const {
    float* sums = pending.block->sums + piece * kScores;
    if (pending.first_chunk) {
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
    for (int64_t t = 0; t < pending.num_tiles; ++t) {
      const uint16_t* p = pending.probabilities + t * kScores;
      const uint16_t* v = static_cast<const uint16_t*>(group_.values) +
                          (pending.tiles[t] * pieces_ + piece) * kScores;
      _tile_loadd(4, p, 64);
      _tile_loadd(6, v, 128);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(7, v + 32, 128);
      _tile_dpbf16ps(1, 4, 7);
      _tile_loadd(5, p + 16 * 32, 64);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
      work.run(rows);
    }
    _tile_stored(0, sums, 128);
    _tile_stored(1, sums + 16, 128);
    _tile_stored(2, sums + 16 * 32, 128);
    _tile_stored(3, sums + 16 * 32 + 16, 128);
  }

  void apply_rescaling(const Pending& pending) const {
    if (pending.block == nullptr || !pending.block->softmax.take_rescaling()) return;
    for (int64_t row = 0; row < kRows; ++row) {
      const __m512 factor = _mm512_set1_ps(pending.block->softmax.take_rescaling(row));
      if (pending.first_chunk) continue;  // nothing was summed yet
      for (int64_t k = 0; k < whole_; k += kLanes) {
        float* sums = pending.block->sums + k / 32 * kScores + row * 32 + k % 32;
        _mm512_store_ps(sums, _mm512_mul_ps(_mm512_load_ps(sums), factor));
      }
    }
  }

  void step(Block& block, int64_t first_row, const int32_t* tiles, int64_t count,
            uint16_t* probabilities, const Pending& pending) {
    apply_rescaling(pending);
    const int64_t products = count * pieces_ + pieces_ * pending.num_tiles - pieces_;
    const int64_t rows = products > 0 ? (count * kRows + products - 1) / products : 0;
    SoftmaxWork work(group_, block.softmax, first_row, tiles, scores_, probabilities);
    int64_t piece = 0;
    const int64_t pieces = pending.block == nullptr ? 0 : pieces_;
    for (int64_t t = 0; t < count; ++t) {
      multiply_keys(block, tiles[t], scores_ + t * kScores, work, rows);
      work.add_tile();
      for (; piece * count < (t + 1) * pieces && piece < pieces; ++piece)
        multiply_values(pending, piece, work, rows);
    }
    work.run(count * kRows);
  }

  void finish(const Pending& pending) const {
    if (pending.block == nullptr) return;
    apply_rescaling(pending);
    SoftmaxState state;
    SoftmaxWork none(group_, SoftmaxRows(&state), 0, nullptr, nullptr, nullptr);
    for (int64_t piece = 0; piece < pieces_; ++piece) multiply_values(pending, piece, none, 0);
  }

  const AttentionGroup& group_;
  int64_t whole_, pieces_;
  float* scores_;
  uint16_t* probabilities_[2];
  char* blocks_;
  int64_t block_bytes_, sum_offset_, softmax_offset_;
};

}  // namespace

int64_t attention_scratch_amx(int64_t num_rows, int64_t width) {
  return Layout::kSharedBytes + (num_rows + kRows - 1) / kRows * Layout(width).block_bytes();
}

void attend_amx(const AttentionGroup& group, void* scratch) { Group(group, scratch).run(); }

}  // namespace sora::kernels::cpu
