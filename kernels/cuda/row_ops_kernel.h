// Norms with rotation or modulation and the gated residual, one block of threads a row.
//
// A row is read again for each pass, from the first-level cache; memory is read and written once.
// Sums are f32, first a thread's own, then the block's. The machine is BlockCore (block_core.cuh)
// on a GPU and the tests' EmulatedThread on the CPU.
#pragma once

#include "kernels/cuda/device_code.h"
#include "kernels/cuda/row_problem.h"

namespace sora::kernels::cuda {

template <class Machine>
class RowKernel {
 public:
  static constexpr int kThreads = 128, kNumbers = 8;

  SORA_DEVICE RowKernel(const RowProblem& problem, Machine& machine, int32_t n)
      : p_(problem),
        machine_(machine),
        n_(n),
        first_(static_cast<int64_t>(n) * problem.width),
        modulation_(problem.row ? problem.row[n] : 0) {}

  SORA_DEVICE void run() {
    if (p_.operation == RowProblem::Operation::RmsNorm) return rms_norm();
    if (p_.operation == RowProblem::Operation::LayerNorm) return layer_norm();
    gated_residual();
  }

 private:
  using Numbers = float[kNumbers];
  struct alignas(16) Words {
    uint32_t word[4];
  };
  struct alignas(16) Floats {
    float number[4];
  };

  template <class Work>
  SORA_DEVICE void for_each(Work work) {
    for (int32_t at = machine_.thread() * kNumbers; at < p_.width; at += kThreads * kNumbers)
      work(at);
  }

  static SORA_DEVICE float of_bits(uint32_t bits) { return __builtin_bit_cast(float, bits); }
  SORA_DEVICE void load(const void* data, bool is_bf16, int32_t at, Numbers& out) const {
    const int64_t from = first_ + at;
    if (!is_bf16) return load(static_cast<const float*>(data) + from, out);
    const Words words = *reinterpret_cast<const Words*>(static_cast<const uint16_t*>(data) + from);
#pragma unroll
    for (int i = 0; i < kNumbers; ++i)
      out[i] = of_bits(i % 2 ? words.word[i / 2] & 0xffff0000 : words.word[i / 2] << 16);
  }
  static SORA_DEVICE void load(const float* from, Numbers& out) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const Floats floats = reinterpret_cast<const Floats*>(from)[half];
#pragma unroll
      for (int i = 0; i < 4; ++i) out[half * 4 + i] = floats.number[i];
    }
  }
  SORA_DEVICE void store(int32_t at, const Numbers& numbers) const {
    const int64_t to = first_ + at;
    if (p_.out_is_bf16) {
      Words words;
#pragma unroll
      for (int i = 0; i < 4; ++i) words.word[i] = machine_.pack(numbers[i * 2], numbers[i * 2 + 1]);
      *reinterpret_cast<Words*>(static_cast<uint16_t*>(p_.out) + to) = words;
    } else {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        Floats floats;
#pragma unroll
        for (int i = 0; i < 4; ++i) floats.number[i] = numbers[half * 4 + i];
        reinterpret_cast<Floats*>(static_cast<float*>(p_.out) + to)[half] = floats;
      }
    }
  }

  // The mean of (x - centre)^2, or of x.
  SORA_DEVICE float mean(bool squared, float centre) {
    float sum = 0.0F;
    for_each([&](int32_t at) {
      Numbers x;
      load(p_.x, p_.x_is_bf16, at, x);
#pragma unroll
      for (int i = 0; i < kNumbers; ++i) sum += squared ? (x[i] - centre) * (x[i] - centre) : x[i];
    });
    return machine_.template sum_of_block<kThreads>(sum) / static_cast<float>(p_.width);
  }

  SORA_DEVICE void rms_norm() {
    const float factor = 1.0F / machine_.square_root(mean(true, 0.0F) + p_.eps);
    const int64_t angles = p_.cos ? static_cast<int64_t>(n_ % p_.length) * p_.pairs : 0;
    for_each([&](int32_t at) {
      Numbers x, weight;
      load(p_.x, p_.x_is_bf16, at, x);
      load(p_.weight + at, weight);
#pragma unroll
      for (int i = 0; i < kNumbers; ++i) x[i] *= factor * weight[i];
      if (p_.cos) rotate(angles, at, x);
      store(at, x);
    });
  }
  // The token's angles begin at `angles`, and each head turns by all of them.
  SORA_DEVICE void rotate(int64_t angles, int32_t at, Numbers& x) const {
    int32_t pair = at / 2 % p_.pairs;
#pragma unroll
    for (int i = 0; i < kNumbers; i += 2) {
      const float cos = p_.cos[angles + pair], sin = p_.sin[angles + pair], left = x[i],
                  right = x[i + 1];
      x[i] = left * cos - right * sin;
      x[i + 1] = left * sin + right * cos;
      if (++pair == p_.pairs) pair = 0;
    }
  }

  SORA_DEVICE void layer_norm() {
    const float centre = mean(false, 0.0F);
    const float factor = 1.0F / machine_.square_root(mean(true, centre) + p_.eps);
    for_each([&](int32_t at) {
      Numbers x, weight, bias;
      load(p_.x, p_.x_is_bf16, at, x);
      load(p_.weight + modulation_ * p_.weight_stride + at, weight);
      load(p_.bias + modulation_ * p_.bias_stride + at, bias);
#pragma unroll
      for (int i = 0; i < kNumbers; ++i) x[i] = (x[i] - centre) * factor * weight[i] + bias[i];
      store(at, x);
    });
  }

  SORA_DEVICE void gated_residual() {
    for_each([&](int32_t at) {
      Numbers x, y, gate;
      load(p_.x, p_.x_is_bf16, at, x);
      load(p_.y, p_.y_is_bf16, at, y);
      if (p_.weight) load(p_.weight + modulation_ * p_.weight_stride + at, gate);
#pragma unroll
      for (int i = 0; i < kNumbers; ++i) x[i] += p_.weight ? y[i] * gate[i] : y[i];
      store(at, x);
    });
  }

  const RowProblem& p_;
  Machine& machine_;
  const int32_t n_;
  const int64_t first_, modulation_;  // the row's first number; its row of weight and bias
};

}  // namespace sora::kernels::cuda
