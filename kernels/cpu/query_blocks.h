// What bf16 attention keeps of a group's queries between chunks of keys, in blocks of kRows: the
// queries themselves, in bf16 (`Number` is uint16_t) or float, their sums of values, and the state
// of their softmax. Included by units for AVX2 or AVX-512, each of which keeps its own copy.
#pragma once

#include <cstdint>

#include "kernels/cpu/attention_group.h"
#include "kernels/cpu/attention_softmax.h"
#include "kernels/cpu/copy_32.h"
#include "kernels/cpu/lanes.h"

namespace sora::kernels::cpu {
namespace {

template <typename Number = uint16_t>
struct QueryBlock {
  Number* q;    // [kRows][whole width]
  float* sums;  // [whole width / 32][kRows][32]
  SoftmaxRows softmax;
};

template <int64_t kRows, typename Number = uint16_t>
class QueryBlocks {
 public:
  using Block = QueryBlock<Number>;

  // `memory`: bytes() of it, 64-byte aligned.
  QueryBlocks(const AttentionGroup& group, void* memory)
      : group_(group), layout_(group.width), memory_(static_cast<char*>(memory)) {}

  static int64_t bytes(int64_t num_rows, int64_t width) {
    return count(num_rows) * Layout(width).block_bytes;
  }

  int64_t count() const { return count(group_.num_rows); }

  Block at(int64_t b) const {
    char* const memory = memory_ + b * layout_.block_bytes;
    return {reinterpret_cast<Number*>(memory),
            reinterpret_cast<float*>(memory + layout_.sum_offset),
            SoftmaxRows(reinterpret_cast<SoftmaxState*>(memory + layout_.softmax_offset))};
  }

  // Takes the queries in. The sums are left as they are: the first chunk overwrites them.
  void begin() const {
    for (int64_t b = 0; b < count(); ++b) begin(b);
  }

  // Before a chunk's values are added: brings what was summed to the rows' new maxima.
  void rescale(const Block& block, bool first_chunk) const {
    if (!block.softmax.take_rescaling()) return;
    for (int64_t row = 0; row < kRows; ++row) {
      const Floats factor = splat(block.softmax.take_rescaling(row));
      if (first_chunk) continue;  // nothing was summed yet
      for (int64_t k = 0; k < layout_.whole; k += kLanes) {
        float* const sums = sums_of(block, row, k);
        store_floats(sums, load_floats(sums) * factor);
      }
    }
  }

  // Writes the group's output.
  void end() const {
    for (int64_t b = 0; b < count(); ++b) end(b);
  }

 private:
  struct Layout {
    explicit Layout(int64_t width)
        : whole(whole_width(width)),
          sum_offset(kRows * whole * static_cast<int64_t>(sizeof(Number))),
          softmax_offset(sum_offset + kRows * whole * 4),
          block_bytes(softmax_offset + static_cast<int64_t>(sizeof(SoftmaxState))) {}
    int64_t whole, sum_offset, softmax_offset, block_bytes;
  };

  static int64_t count(int64_t num_rows) { return (num_rows + kRows - 1) / kRows; }

  int64_t rows_of(int64_t b) const {
    const int64_t left = group_.num_rows - b * kRows;
    return left < kRows ? left : kRows;
  }

  static float* sums_of(const Block& block, int64_t row, int64_t k) {
    return block.sums + (k / 32 * kRows + row) * 32 + k % 32;
  }

  void begin(int64_t b) const {
    const Block block = at(b);
    const auto* q = static_cast<const uint16_t*>(group_.q) + b * kRows * group_.q_stride;
    const int64_t rows = rows_of(b);
    const int64_t next_rows = b + 1 < count() ? rows_of(b + 1) : 0;
    for (int64_t row = 0; row < kRows; ++row) {
      for (int64_t k = 0; row < next_rows && k < group_.width; k += 32)
        _mm_prefetch(q + (row + kRows) * group_.q_stride + k, _MM_HINT_T0);
      for (int64_t k = 0; k < layout_.whole; k += 32)
        copy_32(q + row * group_.q_stride + k, row < rows ? group_.width - k : 0,
                block.q + row * layout_.whole + k);
    }
    block.softmax.begin();
  }

  void end(int64_t b) const {
    const Block block = at(b);
    auto* out = static_cast<uint16_t*>(group_.out) + b * kRows * group_.out_stride;
    for (int64_t row = 0; row < rows_of(b); ++row) {
      const Floats inverse = splat(1.0F / block.softmax.sum(row));
      for (int64_t k = 0; k < group_.width; k += kLanes) {
        const Floats sum = group_.num_tiles == 0 ? zeros() : load_floats(sums_of(block, row, k));
        store_bf16(out + row * group_.out_stride + k, sum * inverse);
      }
    }
  }

  const AttentionGroup& group_;
  Layout layout_;
  char* memory_;
};

}  // namespace
}  // namespace sora::kernels::cpu
