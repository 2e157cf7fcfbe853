// Sizes and places of attention on Hopper, Note [Attention on Hopper] in attention.h.
#pragma once

#include "kernels/cuda/attention_int8_problem.h"
#include "kernels/cuda/attention_logit.h"
#include "kernels/cuda/hopper/tile_source.h"

namespace sora::kernels::cuda::hopper {

inline constexpr int kWarpgroupThreads = 128;

// What a tile's numbers are. Terms want registers that logits would take.
template <bool kTerms>
struct Bf16Numbers {
  using Problem = AttentionProblem;
  static constexpr int kBytes = 2;
  static constexpr int kKeys = kTerms ? 128 : 176;
  static constexpr int kStages = 2;
  static constexpr bool kValuesAreTransposed = false;
};

// Queries and keys in int8, values in e4m3, Note [8 bits on Hopper].
template <bool kTerms>
struct Int8Numbers {
  using Problem = Int8AttentionProblem;
  static constexpr int kBytes = 1;
  static constexpr int kKeys = kInt8Keys;
  static constexpr int kStages = 4;
  static constexpr bool kValuesAreTransposed = true;
};

// Shared memory holds the queries, then the stages of keys, then those of values, each cut into
// slices of columns whose rows are the 128 bytes of a TMA box, and the barriers behind them. Rows
// of transposed values are the head's columns, and their columns keys.
template <int kWidthArgument, bool kTermsArgument, template <bool> class NumbersArgument>
struct AttentionTile {
  using Numbers = NumbersArgument<kTermsArgument>;
  using Problem = typename Numbers::Problem;
  static constexpr int kWidth = kWidthArgument;
  static constexpr bool kTerms = kTermsArgument;
  static constexpr int kConsumers = 2;  // warpgroups, of 64 queries each
  static constexpr int kThreads = (1 + kConsumers) * kWarpgroupThreads;
  static constexpr int kQueries = kConsumers * 64;
  static constexpr int kKeys = Numbers::kKeys;
  static constexpr int kStages = Numbers::kStages;

  static constexpr int kSliceColumns = kBoxRowBytes / Numbers::kBytes;
  static constexpr int kSlices = (kWidth + kSliceColumns - 1) / kSliceColumns;
  static constexpr uint32_t kQuerySliceBytes = kQueries * kBoxRowBytes;
  static constexpr uint32_t kKeySliceBytes = kKeys * kBoxRowBytes;
  static constexpr uint32_t kQueryBytes = kSlices * kQuerySliceBytes;
  static constexpr uint32_t kKeyBytes = kSlices * kKeySliceBytes;
  static constexpr bool kValuesAreTransposed = Numbers::kValuesAreTransposed;
  static constexpr uint32_t kValueBytes = kValuesAreTransposed ? kWidth * kBoxRowBytes : kKeyBytes;
  static_assert(!kValuesAreTransposed || kKeys <= kSliceColumns);  // a box holds a block's values
  static constexpr uint32_t kBarriersAt = kQueryBytes + kStages * (kKeyBytes + kValueBytes);
  static constexpr uint32_t kBarrierBytes = 8;
  static constexpr uint32_t kSharedBytes = kBarriersAt + (2 + 4 * kStages) * kBarrierBytes;
  static_assert(kSharedBytes <= 227 * 1024);
  static_assert(kQuerySliceBytes % 1024 == 0 && kKeySliceBytes % 1024 == 0 &&
                kValueBytes % 1024 == 0);  // swizzled units

  // Registers of a thread; the block is launched with 168 each, of a multiprocessor's 65536.
  static constexpr int kProducerRegisters = 24, kConsumerRegisters = 240;
  static_assert(kWarpgroupThreads * (kProducerRegisters + kConsumers * kConsumerRegisters) <=
                65536);

  static SORA_DEVICE uint32_t keys_at(int stage) {
    return kQueryBytes + static_cast<uint32_t>(stage) * kKeyBytes;
  }
  static SORA_DEVICE uint32_t values_at(int stage) {
    return keys_at(kStages) + static_cast<uint32_t>(stage) * kValueBytes;
  }

  // Barriers: a buffer is full (TMA has filled it), or free (all consumers have read it).
  static SORA_DEVICE uint32_t queries_full() { return kBarriersAt; }
  static SORA_DEVICE uint32_t queries_free() { return kBarriersAt + kBarrierBytes; }
  static SORA_DEVICE uint32_t keys_full(int stage) { return barrier(2 + stage); }
  static SORA_DEVICE uint32_t keys_free(int stage) { return barrier(2 + kStages + stage); }
  static SORA_DEVICE uint32_t values_full(int stage) { return barrier(2 + 2 * kStages + stage); }
  static SORA_DEVICE uint32_t values_free(int stage) { return barrier(2 + 3 * kStages + stage); }

 private:
  static SORA_DEVICE uint32_t barrier(int number) {
    return kBarriersAt + static_cast<uint32_t>(number) * kBarrierBytes;
  }
};

// One block's worth of work: kQueries queries of one head, and the keys that they see.
struct AttentionWork {
  int first_query, head, batch, keys, blocks;
};

template <class Tile>
SORA_DEVICE int num_works(const AttentionProblem& p) {
  return (p.queries + Tile::kQueries - 1) / Tile::kQueries * p.heads * p.batch;
}

// Neighbours are of one head, so that blocks that run together read the same keys.
template <class Tile>
SORA_DEVICE AttentionWork work_at(const AttentionProblem& p, int number) {
  const int tiles = (p.queries + Tile::kQueries - 1) / Tile::kQueries;
  AttentionWork work;
  work.first_query = number % tiles * Tile::kQueries;
  work.head = number / tiles % p.heads;
  work.batch = number / tiles / p.heads;
  work.keys = visible_keys<Tile::kTerms>(p, work.batch);
  work.blocks = (work.keys + Tile::kKeys - 1) / Tile::kKeys;
  return work;
}

template <class Map>
struct AttentionMaps {
  Map q, k, v;
};

}  // namespace sora::kernels::cuda::hopper
