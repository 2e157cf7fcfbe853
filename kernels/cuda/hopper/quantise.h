// Queries, keys and values of attention in 8 bits: Int8AttentionProblem's arrays are made of the
// call, Note [8 bits on Hopper]. Five kernels one after the other: statistics of each channel in
// parts of the keys; those of all keys; rows of queries; rows of keys; and values, transposed
// through shared memory. A thread reads eight numbers of a row at a time.
//
// The machine is QuantiseCore (quantise.cu) on a GPU and the tests' QuantisingThread on the CPU.
#pragma once

#include "kernels/cuda/attention_int8_problem.h"
#include "kernels/cuda/attention_logit.h"
#include "kernels/cuda/hopper/whole_numbers.h"

namespace sora::kernels::cuda::hopper {

inline constexpr float kLargestInt8 = 127.0F, kLargestE4m3 = 448.0F;

// What is smaller than this, 2^-50, is taken for zero: units stay normal numbers, and so do their
// products.
inline constexpr float kSmallestQuantised = 8.8817841970012523e-16F;

template <int kWidth, class Machine>
class Quantiser {
 public:
  static constexpr int kNumbers = 8;  // that a thread reads at a time
  static constexpr int kColumns = kWidth / kNumbers;
  static constexpr int kStatisticsThreads = 128, kValueThreads = 128;
  static constexpr int kRowThreads = kWidth;  // eight rows at a time
  static constexpr int kStatisticsBytes = kStatistics * kStatisticsThreads * kNumbers * 4;
  static constexpr int kValueWords = kInt8Keys / 4;  // of a channel
  static constexpr int kValueBytes = kWidth * (kValueWords + 1) * 4;

  SORA_DEVICE Quantiser(const Int8AttentionProblem& problem, Machine& machine, int head, int batch)
      : p_(problem), machine_(machine), head_(head), batch_(batch) {}

  // One part of the keys, of k or v.
  SORA_DEVICE void gather_statistics(bool of_values, int part) {
    const Rows& rows = of_values ? p_.v : p_.k;
    const int each = (p_.keys + kStatisticsParts - 1) / kStatisticsParts;
    const int end = (part + 1) * each < p_.keys ? (part + 1) * each : p_.keys;
    float found[kStatistics][kNumbers];
    clear(found);
    constexpr int kLanes = kStatisticsThreads / kColumns;
    for (int row = part * each + machine_.thread() / kColumns; row < end; row += kLanes) {
      float x[kNumbers];
      load(rows, row, x);
#pragma unroll
      for (int i = 0; i < kNumbers; ++i) {
        found[0][i] += x[i];
        found[1][i] = -machine_.larger(-found[1][i], -x[i]);
        found[2][i] = machine_.larger(found[2][i], x[i]);
      }
    }
    join_lanes(found, statistics_of(of_values) + part * kStatistics * kWidth);
  }

  // Means, and units of values, of one head; a thread for each channel.
  SORA_DEVICE void finish_statistics(bool of_values) {
    const float* parts = statistics_of(of_values) + machine_.thread();
    float sum = 0.0F, least = -kNothing, largest = kNothing;
    for (int part = 0; part < kStatisticsParts; ++part) {
      sum += parts[(part * kStatistics + 0) * kWidth];
      least = -machine_.larger(-least, -parts[(part * kStatistics + 1) * kWidth]);
      largest = machine_.larger(largest, parts[(part * kStatistics + 2) * kWidth]);
    }
    const float mean = sum / static_cast<float>(p_.keys);
    if (of_values) {
      const int64_t at = p_.head_of(p_.v, batch_, head_) * kWidth + machine_.thread();
      p_.value_means[at] = mean;
      p_.value_units[at] = unit_of(machine_.larger(largest - mean, mean - least), kLargestE4m3);
    } else {
      p_.key_means[p_.head_of(p_.k, batch_, head_) * kWidth + machine_.thread()] =
          p_.smooths_keys ? mean : 0.0F;
    }
  }

  // A block of rows, with a unit for each.
  SORA_DEVICE void quantise_queries(int block) {
    const int64_t first = (static_cast<int64_t>(batch_) * p_.heads + head_) * p_.queries;
    for (int pass = 0; pass < kPasses; ++pass) {
      const int row = row_of(block, pass);
      float x[kNumbers] = {};
      if (row < p_.queries) load(p_.q, row, x);
      const float unit =
          unit_of(machine_.template largest_of_lanes<kColumns>(largest(x)), kLargestInt8);
      if (row >= p_.queries) continue;
      store(p_.q8 + (first + row) * kWidth + column() * kNumbers, x, 1.0F / unit);
      if (column() == 0) p_.query_units[first + row] = unit * p_.scale;
    }
  }

  // The rows of one block, with a unit for each group, which is that of 2 kColumns threads.
  SORA_DEVICE void quantise_keys(int block) {
    const int64_t head = p_.head_of(p_.k, batch_, head_);
    float mean[kNumbers], found = 0.0F;
    load_floats(p_.key_means + head * kWidth + column() * kNumbers, mean);
    for (int pass = 0; pass < kPasses; ++pass) {
      float x[kNumbers];
      if (load_smoothed_key(row_of(block, pass), mean, x))
        found = machine_.larger(found, largest(x));
    }
    const float unit =
        unit_of(machine_.template largest_of_lanes<2 * kColumns>(found), kLargestInt8);
    for (int pass = 0; pass < kPasses; ++pass) {
      const int row = row_of(block, pass);
      float x[kNumbers];
      if (load_smoothed_key(row, mean, x))
        store(p_.k8 + (head * p_.keys + row) * kWidth + column() * kNumbers, x, 1.0F / unit);
    }
    const int group = machine_.thread() / (2 * kColumns);
    if (machine_.thread() % (2 * kColumns) == 0)
      p_.key_units[(head * (p_.padded_keys / kInt8Keys) + block) * kInt8KeyGroups + group] = unit;
  }

  // The values of one block, permuted and transposed.
  SORA_DEVICE void quantise_values(int block) {
    const int64_t head = p_.head_of(p_.v, batch_, head_);
    uint32_t* words = machine_.shared_words();  // [kWidth][kValueWords], a row's end left free
    for (int i = machine_.thread(); i < kColumns * kValueWords; i += kValueThreads) {
      const int first = i % kColumns * kNumbers, word = i / kColumns;
      float mean[kNumbers], factor[kNumbers], x[4][kNumbers];
      load_floats(p_.value_means + head * kWidth + first, mean);
      load_floats(p_.value_units + head * kWidth + first, factor);
#pragma unroll
      for (int c = 0; c < kNumbers; ++c) factor[c] = 1.0F / factor[c];
#pragma unroll
      for (int place = 0; place < 4; ++place)
        load_value(block * kInt8Keys + key_at(word, place), first, mean, factor, x[place]);
#pragma unroll
      for (int c = 0; c < kNumbers; ++c)
        words[(first + c) * (kValueWords + 1) + word] =
            machine_.pack_e4m3(x[0][c], x[1][c], x[2][c], x[3][c]);
    }
    machine_.barrier();
    for (int i = machine_.thread(); i < kWidth * kValueWords; i += kValueThreads) {
      const int channel = i / kValueWords, word = i % kValueWords;
      uint8_t* to = p_.v8 + (head * kWidth + channel) * p_.padded_keys + block * kInt8Keys;
      reinterpret_cast<uint32_t*>(to)[word] = words[channel * (kValueWords + 1) + word];
    }
  }

 private:
  static constexpr int kPasses = kInt8Keys * kColumns / kRowThreads;
  static_assert(kRowThreads / kColumns == 8);  // rows of a pass, which make up the key groups

  struct alignas(16) Words {
    uint32_t word[4];
  };
  struct alignas(16) Floats {
    float number[4];
  };

  // The key of a block that a place of a word of four has.
  static SORA_DEVICE int key_at(int word, int place) {
    return word / 4 * 16 + place / 2 * 8 + word % 4 * 2 + place % 2;
  }

  static SORA_DEVICE float of_bits(uint32_t bits) { return __builtin_bit_cast(float, bits); }
  SORA_DEVICE int column() const { return machine_.thread() % kColumns; }
  SORA_DEVICE int row_of(int block, int pass) const {
    return block * kInt8Keys + pass * 8 + machine_.thread() / kColumns;
  }
  SORA_DEVICE void load(const Rows& rows, int row, float (&x)[kNumbers]) const {
    load(rows, row, column() * kNumbers, x);
  }
  SORA_DEVICE void load(const Rows& rows, int row, int first, float (&x)[kNumbers]) const {
    const Words words =
        *reinterpret_cast<const Words*>(rows.data + batch_ * rows.batch_stride +
                                        head_ * rows.head_stride + row * rows.row_stride + first);
#pragma unroll
    for (int i = 0; i < kNumbers; ++i)
      x[i] = of_bits(i % 2 ? words.word[i / 2] & 0xffff0000 : words.word[i / 2] << 16);
  }
  static SORA_DEVICE void load_floats(const float* from, float (&x)[kNumbers]) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const Floats floats = reinterpret_cast<const Floats*>(from)[half];
#pragma unroll
      for (int i = 0; i < 4; ++i) x[half * 4 + i] = floats.number[i];
    }
  }
  // False where there is no key.
  SORA_DEVICE bool load_smoothed_key(int row, const float (&mean)[kNumbers],
                                     float (&x)[kNumbers]) const {
    if (row >= p_.keys) return false;
    load(p_.k, row, x);
#pragma unroll
    for (int i = 0; i < kNumbers; ++i) x[i] -= mean[i];
    return true;
  }
  // In units; zeros where there is no key.
  SORA_DEVICE void load_value(int key, int first, const float (&mean)[kNumbers],
                              const float (&factor)[kNumbers], float (&x)[kNumbers]) const {
    const bool exists = key < p_.keys;
    if (exists) load(p_.v, key, first, x);
#pragma unroll
    for (int c = 0; c < kNumbers; ++c) x[c] = exists ? (x[c] - mean[c]) * factor[c] : 0.0F;
  }

  // Rounded to the nearest whole number, the lowest byte of the sum's bits.
  static SORA_DEVICE void store(int8_t* to, const float (&x)[kNumbers], float factor) {
    uint32_t words[2] = {};
#pragma unroll
    for (int i = 0; i < kNumbers; ++i)
      words[i / 4] |= (__builtin_bit_cast(uint32_t, x[i] * factor + kWholeNumbers) & 0xff)
                      << i % 4 * 8;
    *reinterpret_cast<uint64_t*>(to) = words[0] | static_cast<uint64_t>(words[1]) << 32;
  }

  static SORA_DEVICE float unit_of(float largest, float range) {
    return (largest > kSmallestQuantised ? largest : kSmallestQuantised) / range;
  }
  SORA_DEVICE float largest(const float (&x)[kNumbers]) const {
    float found = 0.0F;
#pragma unroll
    for (int i = 0; i < kNumbers; ++i) found = machine_.larger(found, x[i] < 0.0F ? -x[i] : x[i]);
    return found;
  }

  SORA_DEVICE float* statistics_of(bool of_values) const {
    const int64_t keys = of_values ? p_.head_of(p_.k, p_.batch - 1, p_.heads) : 0;
    const int64_t head = p_.head_of(of_values ? p_.v : p_.k, batch_, head_);
    return p_.statistics + (keys + head) * kStatisticsParts * kStatistics * kWidth;
  }
  static SORA_DEVICE void clear(float (&found)[kStatistics][kNumbers]) {
#pragma unroll
    for (int i = 0; i < kNumbers; ++i) {
      found[0][i] = 0.0F;
      found[1][i] = -kNothing;
      found[2][i] = kNothing;
    }
  }
  // What threads found of the same channels, by way of shared memory.
  SORA_DEVICE void join_lanes(const float (&found)[kStatistics][kNumbers], float* out) {
    constexpr int kLanes = kStatisticsThreads / kColumns;
    uint32_t* words = machine_.shared_words();  // [kStatistics][kLanes][kWidth]
    for (int s = 0; s < kStatistics; ++s)
      for (int i = 0; i < kNumbers; ++i)
        words[s * kStatisticsThreads * kNumbers + machine_.thread() * kNumbers + i] =
            __builtin_bit_cast(uint32_t, found[s][i]);
    machine_.barrier();
    for (int i = machine_.thread(); i < kStatistics * kWidth; i += kStatisticsThreads) {
      const int s = i / kWidth;
      float joined = s == 0 ? 0.0F : kNothing;
      for (int lane = 0; lane < kLanes; ++lane) {
        const float x =
            of_bits(words[s * kStatisticsThreads * kNumbers + lane * kWidth + i % kWidth]);
        joined = s == 0 ? joined + x : machine_.larger(joined, s == 1 ? -x : x);
      }
      out[i] = s == 1 ? -joined : joined;
    }
  }

  const Int8AttentionProblem& p_;
  Machine& machine_;
  const int head_, batch_;
};

}  // namespace sora::kernels::cuda::hopper
