// The 64 queries of a warpgroup that computes attention on Hopper: what does not depend on the type
// of numbers. A thread holds two rows; of each eight columns it holds two neighbours.
#pragma once

#include "kernels/cuda/hopper/attention_tile.h"
#include "kernels/cuda/hopper/matrix_descriptor.h"

namespace sora::kernels::cuda::hopper {

template <class Tile, class Machine>
class AttentionRows {
 protected:
  static constexpr int kKeyPieces = Tile::kKeys / 8;
  static constexpr int kWidthPieces = Tile::kWidth / 8;

  SORA_DEVICE AttentionRows(const AttentionProblem& problem, Machine& machine, int group)
      : p_(problem), machine_(machine), group_(group) {}

  SORA_DEVICE void begin(const AttentionWork& work) {
    work_ = work;
#pragma unroll
    for (int piece = 0; piece < kWidthPieces; ++piece) {
#pragma unroll
      for (int i = 0; i < 4; ++i) out_[piece][i] = 0.0F;
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      largest_[half] = kNothing;
      sum_[half] = 0.0F;
    }
  }

  // What soften_rows computes last; sums of exponentials, so never negative.
  SORA_DEVICE void order_after_exponentials() { machine_.order_after(sum_[0] + sum_[1]); }

  SORA_DEVICE int query_of(int half) const {
    return work_.first_query + group_ * 64 + machine_.warp() % 4 * 16 + machine_.lane() / 4 +
           half * 8;
  }

  // The operands of Q K^T, of which a product reads 32 bytes of each row; `multiply` is given each
  // step's number and both descriptors.
  template <class Multiply>
  SORA_DEVICE void for_each_key_step(int stage, Multiply multiply) const {
    const uint64_t queries =
        rows_descriptor(machine_.address(static_cast<uint32_t>(group_) * 64 * kBoxRowBytes));
    const uint64_t keys = rows_descriptor(machine_.address(Tile::keys_at(stage)));
    constexpr uint32_t kSteps = Tile::kWidth * Tile::Numbers::kBytes / 32;
#pragma unroll
    for (uint32_t step = 0; step < kSteps; ++step) {
      const uint32_t slice = step / 4, bytes = step % 4 * 32;
      multiply(step, advanced(queries, slice * Tile::kQuerySliceBytes + bytes),
               advanced(keys, slice * Tile::kKeySliceBytes + bytes));
    }
  }

  SORA_DEVICE bool wants_finishing(int block) const {
    return Tile::kTerms || (block + 1) * Tile::kKeys > work_.keys;
  }
  // Hides what is no key; with terms, logits count in powers of two afterwards. `scaled` makes the
  // product of a half's row what it is in f32.
  template <class Scaled>
  SORA_DEVICE void finish_logits(int block, float (&logits)[kKeyPieces][4], Scaled scaled) {
#pragma unroll
    for (int piece = 0; piece < kKeyPieces; ++piece) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int key = block * Tile::kKeys + piece * 8 + machine_.lane() % 4 * 2 + i % 2;
        float& x = logits[piece][i];
        if (key >= work_.keys) {
          x = kNothing;
        } else if (Tile::kTerms) {
          x = with_terms(p_, work_.batch, query_of(i / 2), key, scaled(x, i / 2)) * kLog2E;
        }
      }
    }
  }

  // `finished` makes the mean of the values' numbers that of the values, given its column.
  template <class Finished>
  SORA_DEVICE void store_rows(Finished finished) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const float factor =
          1.0F / machine_.sum_of_quad(sum_[half]);  // no key seen: 0 times infinity, NaN
      const int query = query_of(half);
      if (query >= p_.queries) continue;
      const int64_t row =
          (static_cast<int64_t>(work_.batch) * p_.queries + query) * p_.heads + work_.head;
#pragma unroll
      for (int piece = 0; piece < kWidthPieces; ++piece) {
        const int column = piece * 8 + machine_.lane() % 4 * 2;
        *reinterpret_cast<uint32_t*>(p_.out + row * Tile::kWidth + column) =
            machine_.pack(finished(out_[piece][half * 2] * factor, column),
                          finished(out_[piece][half * 2 + 1] * factor, column + 1));
      }
    }
  }

  const AttentionProblem& p_;
  Machine& machine_;
  const int group_;
  AttentionWork work_;
  float out_[kWidthPieces][4] = {};
  float largest_[2] = {}, sum_[2] = {}, shrink_[2] = {};
};

}  // namespace sora::kernels::cuda::hopper
