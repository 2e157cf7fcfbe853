// Note [Tiles and exponentials]
// On a core with AMX the exponentials of a softmax take about as long as the products around them,
// on different units. So the two are interleaved by hand: while the tile unit multiplies, the
// vector units work through the rows of scores of the tile before. A step takes 32 queries and up
// to 256 keys: their scores q k^T, and the product of probabilities and values of the step before.
// The scores of 64 keys are kept at a time. So queries, scores and probabilities find room in the
// first-level cache: what the tile unit waits for is what it has to load from the second.
// After each four products, which take the tile unit 64 cycles, come 16 rows divided by the number
// of products along the head's width, which is an even share.
// That share is compiled into the loop over products: behind a call all takes a quarter longer, as
// the processor does not look far enough ahead to have both units at work.
//
// Queries of a group take turns with each chunk of keys, so that the chunk is read from the
// second-level cache.

#include "kernels/cpu/attention_group.h"
#include "kernels/cpu/attention_softmax.h"
#include "kernels/cpu/intrinsics.h"
#include "kernels/cpu/query_blocks.h"
#include "kernels/cpu/tile_config_amx.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kRows = 32;         // of queries
constexpr int64_t kTilesInChunk = 8;  // of keys
constexpr int64_t kRowsAtOnce = 16;   // of the softmax, between two looks at what comes next
constexpr int64_t kScoreTiles = 2;    // whose scores are kept, in the first-level cache
constexpr int64_t kScores = kRows * kKeysInTile;

// Scratch memory: scores, probabilities of the present step and the one before, and the blocks.
constexpr int64_t kScoreBytes = kScoreTiles * kScores * 4;
constexpr int64_t kProbabilityBytes = kTilesInChunk * kScores * 2;
constexpr int64_t kSharedBytes = kScoreBytes + 2 * kProbabilityBytes;

// What a step multiplies with the values in the next one.
struct Pending {
  QueryBlock<>* block = nullptr;
  const uint16_t* probabilities = nullptr;
  const int32_t* tiles = nullptr;
  int64_t num_tiles = 0;
  bool first_chunk = false;
};

using SoftmaxWork = TileSoftmax<kRows, kScoreTiles>;

// kShare: rows of the softmax after each four products.
template <int kShare>
class Group {
 public:
  Group(const AttentionGroup& group, void* scratch)
      : group_(group),
        whole_(whole_width(group.width)),
        pieces_(whole_ / 32),
        blocks_(group, static_cast<char*>(scratch) + kSharedBytes) {
    char* memory = static_cast<char*>(scratch);
    scores_ = reinterpret_cast<float*>(memory);
    memory += kScoreBytes;
    for (uint16_t*& probabilities : probabilities_) {
      probabilities = reinterpret_cast<uint16_t*>(memory);
      memory += kProbabilityBytes;
    }
  }

  void run() {
    blocks_.begin();
    begin_tiles();
    Pending pending;
    int64_t parity = 0;
    QueryBlock<> block[2];
    for (int64_t first = 0; first < group_.num_tiles; first += kTilesInChunk) {
      const int64_t left = group_.num_tiles - first;
      const int64_t count = left < kTilesInChunk ? left : kTilesInChunk;
      for (int64_t b = 0; b < blocks_.count(); ++b) {
        block[parity] = blocks_.at(b);
        step(block[parity], b * kRows, group_.tiles + first, count, probabilities_[parity],
             pending);
        pending = {&block[parity], probabilities_[parity], group_.tiles + first, count, first == 0};
        parity ^= 1;
      }
    }
    finish(pending);
    _tile_release();
    blocks_.end();
  }

 private:
  // Calls `products(beside)`, which calls beside() after each four products: kRowsAtOnce rows of
  // the softmax in shares, if there are any to do.
  template <typename Products>
  static void beside_softmax(SoftmaxWork& work, const Products& products) {
    if (!work.has_rows()) return products([] {});
    int64_t left = kRowsAtOnce;
    const auto in_shares = [&](const auto& share) {
      const auto beside = [&]() __attribute__((always_inline)) {
        if (left <= 0) return;
        share();
        left -= kShare;
      };
      products(beside);
      while (left > 0) beside();
    };
    if (!work.begin_plain_rows()) return in_shares([&] { work.run(kShare); });
    PlainRows rows = work.plain_rows();
    const __m512 scale = work.scale();
    __m512 highest = work.highest();
    in_shares([&]() __attribute__((always_inline)) { soften<kShare>(rows, scale, highest); });
    work.end_plain_rows(kRowsAtOnce, highest);
  }

  // Scores of 32 queries and a tile of keys.
  void score(const QueryBlock<>& block, int32_t tile, float* scores, SoftmaxWork& work) const {
    beside_softmax(
        work, [&](const auto& beside) __attribute__((always_inline)) {
          const auto* keys =
              static_cast<const uint16_t*>(group_.keys) + tile * whole_ * kKeysInTile;
          const uint16_t* q = block.q;
          const int64_t q_bytes = whole_ * 2, lower = 16 * whole_;
          _tile_zero(0);
          _tile_zero(1);
          _tile_zero(2);
          _tile_zero(3);
          for (int64_t piece = 0; piece < pieces_; ++piece) {
            multiply(q, q + lower, q_bytes, keys);
            q += 32;
            keys += kScores;
            beside();
          }
          store_sums(scores);
        });
  }

  // 32 columns of probabilities times values, added to the sums.
  void add_values(const Pending& pending, int64_t piece, SoftmaxWork& work) const {
    constexpr int64_t kTilesAtOnce = kRowsAtOnce / kShare;
    float* const sums = pending.block->sums + piece * kScores;
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
    const auto* values = static_cast<const uint16_t*>(group_.values) + piece * kScores;
    for (int64_t first = 0; first < pending.num_tiles; first += kTilesAtOnce) {
      const int64_t left = pending.num_tiles - first;
      const int64_t end = first + (left < kTilesAtOnce ? left : kTilesAtOnce);
      beside_softmax(
          work, [&](const auto& beside) __attribute__((always_inline)) {
            for (int64_t t = first; t < end; ++t) {
              const uint16_t* p = pending.probabilities + t * kScores;
              multiply(p, p + 16 * 32, 64, values + pending.tiles[t] * pieces_ * kScores);
              beside();
            }
          });
    }
    store_sums(sums);
  }

  // 16 and 16 rows of 32 numbers, times 32 columns of them in pairs, added to tiles 0 to 3.
  __attribute__((always_inline)) static void multiply(const uint16_t* upper, const uint16_t* lower,
                                                      int64_t row_bytes, const uint16_t* columns) {
    _tile_loadd(4, upper, row_bytes);
    _tile_stream_loadd(6, columns, 128);
    _tile_stream_loadd(7, columns + 32, 128);
    _tile_loadd(5, lower, row_bytes);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }

  __attribute__((always_inline)) static void store_sums(float* sums) {
    _tile_stored(0, sums, 128);
    _tile_stored(1, sums + 16, 128);
    _tile_stored(2, sums + 16 * 32, 128);
    _tile_stored(3, sums + 16 * 32 + 16, 128);
  }

  void step(QueryBlock<>& block, int64_t first_row, const int32_t* tiles, int64_t count,
            uint16_t* probabilities, const Pending& pending) {
    if (pending.block != nullptr) blocks_.rescale(*pending.block, pending.first_chunk);
    finish_stores();  // of sums, and of probabilities in the step before
    SoftmaxWork work(group_, block.softmax, first_row, tiles, scores_, probabilities);
    int64_t piece = 0;
    const int64_t pieces = pending.block == nullptr ? 0 : pieces_;
    for (int64_t t = 0; t < count; ++t) {
      if (t >= kScoreTiles) work.run_to((t - kScoreTiles + 1) * kRows);
      score(block, tiles[t], scores_ + t % kScoreTiles * kScores, work);
      work.add_tile();
      // Two tiles later than an even share, so that there are rows for the softmax beside each.
      for (; piece * count < (t - 1) * pieces && piece < pieces; ++piece)
        add_values(pending, piece, work);
    }
    for (; piece < pieces; ++piece) add_values(pending, piece, work);
    work.run(count * kRows);
  }

  void finish(const Pending& pending) const {
    if (pending.block == nullptr) return;
    blocks_.rescale(*pending.block, pending.first_chunk);
    finish_stores();
    SoftmaxState state;
    SoftmaxWork none(group_, SoftmaxRows(&state), 0, nullptr, nullptr, nullptr);
    for (int64_t piece = 0; piece < pieces_; ++piece) add_values(pending, piece, none);
  }

  const AttentionGroup& group_;
  int64_t whole_, pieces_;
  float* scores_;
  uint16_t* probabilities_[2];
  QueryBlocks<kRows> blocks_;
};

}  // namespace

int64_t attention_scratch_amx(int64_t num_rows, int64_t width) {
  return kSharedBytes + QueryBlocks<kRows>::bytes(num_rows, width);
}

void attend_amx(const AttentionGroup& group, void* scratch) {
  switch (whole_width(group.width) / 32) {
    case 1:
      return Group<16>(group, scratch).run();
    case 2:
    case 3:
      return Group<8>(group, scratch).run();
    case 8:
      return Group<2>(group, scratch).run();
    default:
      return Group<4>(group, scratch).run();
  }
}

}  // namespace sora::kernels::cpu
