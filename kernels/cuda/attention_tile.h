// Attention on tensor cores, one block of threads for a tile of queries of one head.
//
// Note [Attention on tensor cores]
// Each warp owns 16 queries and walks over all keys in blocks, with a running maximum and sum
// (FlashAttention-2, arXiv 2307.08691). Products come from the 16x8x16 bf16 instruction: the layout
// of its result, two neighbouring numbers of rows lane / 4 and lane / 4 + 8, is also that of its
// left operand, so probabilities go from the first product to the second in registers. Keys and
// values of the next block are copied while this one is computed. A row of a tile in shared memory
// is cut into pieces of 16 bytes whose places are exclusive-or'ed with the row's number: eight rows
// read together touch all banks.
//
// What depends on the processor is behind `Machine`: TensorCore (tensor_core.cuh) on a GPU, and the
// tests' EmulatedThread, which follows the instructions' definitions (PTX ISA, sections on
// mma.m16n8k16, ldmatrix and cp.async) on the CPU.
#pragma once

#include "kernels/cuda/attention_logit.h"

namespace sora::kernels::cuda {

// Sizes of the tiles for heads of up to kWidth numbers; shared memory stays within the 99 KiB that
// sm_89 grants.
template <int kWidthArgument>
struct AttentionTile {
  static constexpr int kWidth = kWidthArgument;
  static constexpr int kWarps = kWidth > 128 ? 4 : 8;
  static constexpr int kThreads = kWarps * 32;
  static constexpr int kQueries = kWarps * 16;
  static constexpr int kKeys = kWidth > 128 ? 32 : 64;
  static constexpr int kStages = 2;
  static constexpr int kRowBytes = kWidth * 2;
  static constexpr int kKeyBytes = kKeys * kRowBytes;
  static constexpr int kQueryBytes = kQueries * kRowBytes;
  static constexpr int kSharedBytes = kQueryBytes + 2 * kStages * kKeyBytes;
  static_assert(kSharedBytes <= 99 * 1024);
};

template <class Tile, bool kTerms, class Machine>
class TileAttention {
 public:
  SORA_DEVICE TileAttention(const AttentionProblem& problem, Machine& machine, int tile, int head,
                            int batch)
      : p_(problem),
        machine_(machine),
        first_query_(tile * Tile::kQueries),
        head_(head),
        batch_(batch),
        keys_(visible_keys<kTerms>(problem, batch)) {}

  SORA_DEVICE void run() {
    load<Tile::kQueries>(p_.q, first_query_, p_.queries, 0);
    load_block(0);
    machine_.commit();
    const int blocks = (keys_ + Tile::kKeys - 1) / Tile::kKeys;
    for (int block = 0; block < blocks; ++block) {
      if (block + 1 < blocks) load_block(block + 1);
      machine_.commit();
      machine_.template wait<1>();
      machine_.barrier();
      attend_to(block);
      machine_.barrier();  // before the next copy overwrites what was read
    }
    store();
  }

 private:
  static constexpr int kKeyPieces = Tile::kKeys / 8;
  static constexpr int kWidthPieces = Tile::kWidth / 8;

  // The place of 16 bytes of a row in a tile.
  static SORA_DEVICE uint32_t place(int row, int piece) {
    return static_cast<uint32_t>(row * Tile::kRowBytes + ((piece ^ (row & 7)) << 4));
  }
  static SORA_DEVICE uint32_t keys_at(int block) {
    return Tile::kQueryBytes + (block % Tile::kStages) * 2 * Tile::kKeyBytes;
  }
  static SORA_DEVICE uint32_t values_at(int block) { return keys_at(block) + Tile::kKeyBytes; }

  // kRows rows from `first` on, zeros from row `end` and beyond the head's width. A thread copies
  // the same piece of every kStep-th row; with terms there are no registers for several at a time.
  template <int kRows>
  SORA_DEVICE void load(const Rows& rows, int first, int end, uint32_t at) {
    constexpr int kStep = Tile::kThreads / kWidthPieces;
    static_assert(Tile::kThreads % kWidthPieces == 0 && kRows % kStep == 0);
    const int row = machine_.thread() / kWidthPieces, piece = machine_.thread() % kWidthPieces;
    const uint16_t* base = rows.data + batch_ * rows.batch_stride + head_ * rows.head_stride;
    const uint16_t* from = base + (first + row) * rows.row_stride + piece * 8;
    const int rows_left = piece * 8 < p_.head_width ? end - first - row : 0;
#pragma unroll(kTerms ? 1 : kRows / kStep)
    for (int i = 0; i < kRows; i += kStep) {
      const bool exists = i < rows_left;
      machine_.copy_16_bytes(at + place(row + i, piece), exists ? from : base, exists);
      from += kStep * rows.row_stride;
    }
  }
  SORA_DEVICE void load_block(int block) {
    load<Tile::kKeys>(p_.k, block * Tile::kKeys, keys_, keys_at(block));
    load<Tile::kKeys>(p_.v, block * Tile::kKeys, keys_, values_at(block));
  }

  SORA_DEVICE void attend_to(int block) {
    float logits[kKeyPieces][4] = {};
    multiply_with_keys(block, logits);
    finish_logits(block * Tile::kKeys, logits);
    soften(logits);
    add_values(block, logits);
  }

  // logits += Q K^T, [16 queries, kKeys].
  SORA_DEVICE void multiply_with_keys(int block, float (&logits)[kKeyPieces][4]) {
    const int lane = machine_.lane();
#pragma unroll
    for (int step = 0; step < Tile::kWidth / 16; ++step) {
      uint32_t queries[4];
      machine_.load_matrices(queries,
                             place(machine_.warp() * 16 + lane % 16, step * 2 + lane / 16));
#pragma unroll
      for (int pair = 0; pair < kKeyPieces / 2; ++pair) {
        uint32_t keys[4];
        const int row = pair * 16 + lane / 16 * 8 + lane % 8;
        machine_.load_matrices(keys, keys_at(block) + place(row, step * 2 + lane / 8 % 2));
        machine_.multiply_add(logits[pair * 2], queries, keys[0], keys[1]);
        machine_.multiply_add(logits[pair * 2 + 1], queries, keys[2], keys[3]);
      }
    }
  }

  // Hides what is no key. With terms scales and adds what belongs to a key or a pair, and the
  // result counts in powers of two; without, scaling is part of the exponent.
  SORA_DEVICE void finish_logits(int first_key, float (&logits)[kKeyPieces][4]) {
    if (!kTerms && first_key + Tile::kKeys <= keys_) return;
#pragma unroll
    for (int piece = 0; piece < kKeyPieces; ++piece) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int key = first_key + piece * 8 + machine_.lane() % 4 * 2 + i % 2;
        float& x = logits[piece][i];
        if (key >= keys_) {
          x = kNothing;
        } else if (kTerms) {
          x = with_terms(p_, batch_, query_of(i / 2), key, x * p_.scale) * kLog2E;
        }
      }
    }
  }
  SORA_DEVICE int query_of(int half) const {
    return first_query_ + machine_.warp() * 16 + machine_.lane() / 4 + half * 8;
  }

  // What has been gathered follows the new maximum.
  SORA_DEVICE void soften(float (&logits)[kKeyPieces][4]) {
    const float scale = kTerms ? 1.0F : p_.scale * kLog2E;
    const float unit[2] = {scale, scale};
    float shrink[2];
    soften_rows<PlainSoftmax>(machine_, logits, unit, largest_, sum_, shrink);
#pragma unroll
    for (int piece = 0; piece < kWidthPieces; ++piece) {
#pragma unroll
      for (int i = 0; i < 4; ++i) out_[piece][i] *= shrink[i / 2];
    }
  }

  // out += P V.
  SORA_DEVICE void add_values(int block, const float (&logits)[kKeyPieces][4]) {
    const int lane = machine_.lane();
#pragma unroll
    for (int step = 0; step < Tile::kKeys / 16; ++step) {
      const auto& left = logits[step * 2];
      const auto& right = logits[step * 2 + 1];
      const uint32_t probabilities[4] = {
          machine_.pack(left[0], left[1]), machine_.pack(left[2], left[3]),
          machine_.pack(right[0], right[1]), machine_.pack(right[2], right[3])};
#pragma unroll
      for (int pair = 0; pair < kWidthPieces / 2; ++pair) {
        uint32_t values[4];
        const uint32_t at = values_at(block) + place(step * 16 + lane % 16, pair * 2 + lane / 16);
        machine_.load_transposed_matrices(values, at);
        machine_.multiply_add(out_[pair * 2], probabilities, values[0], values[1]);
        machine_.multiply_add(out_[pair * 2 + 1], probabilities, values[2], values[3]);
      }
    }
  }

  SORA_DEVICE void store() {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float factor =
          1.0F / machine_.sum_of_quad(sum_[half]);  // no key seen: 0 times infinity, NaN
      const int query = query_of(half);
      if (query >= p_.queries) continue;
      const int64_t row = (static_cast<int64_t>(batch_) * p_.queries + query) * p_.heads + head_;
      uint16_t* out = p_.out + row * p_.head_width;
#pragma unroll
      for (int piece = 0; piece < kWidthPieces; ++piece) {
        if (piece * 8 >= p_.head_width) continue;
        const uint32_t two =
            machine_.pack(out_[piece][half * 2] * factor, out_[piece][half * 2 + 1] * factor);
        *reinterpret_cast<uint32_t*>(out + piece * 8 + machine_.lane() % 4 * 2) = two;
      }
    }
  }

  const AttentionProblem& p_;
  Machine& machine_;
  int first_query_, head_, batch_, keys_;
  float out_[kWidthPieces][4] = {};
  float largest_[2] = {kNothing, kNothing}, sum_[2] = {};
};

}  // namespace sora::kernels::cuda
