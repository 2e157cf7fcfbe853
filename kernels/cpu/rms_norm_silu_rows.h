// The rows of rms_norm_silu with vectors of `kLanes` floats, for the units that are compiled for
// one processor each. Everything sits in an unnamed namespace: the same source compiled with other
// flags must not be merged by the linker.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/rms_norm_silu.h"

namespace sora::kernels::cpu {
namespace {

using Floats [[gnu::vector_size(kLanes * 4)]] = float;
using Words [[gnu::vector_size(kLanes * 4)]] = uint32_t;
using Halfwords [[gnu::vector_size(kLanes * 2)]] = uint16_t;

template <typename To, typename From>
[[gnu::always_inline]] inline To bits_of(const From& from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}

// bf16 is the upper half of a float; rounding is to nearest, ties to even.
[[gnu::always_inline]] inline void load(const float* from, Floats& to) {
  std::memcpy(&to, from, sizeof to);
}
[[gnu::always_inline]] inline void load(const uint16_t* from, Floats& to) {
  Halfwords halves;
  std::memcpy(&halves, from, sizeof halves);
  to = bits_of<Floats>(__builtin_convertvector(halves, Words) << 16);
}
[[gnu::always_inline]] inline void store(const Floats& from, float* to) {
  std::memcpy(to, &from, sizeof from);
}
[[gnu::always_inline]] inline void store(const Floats& from, uint16_t* to) {
  const Words bits = bits_of<Words>(from);
  const Words rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const Halfwords halves = __builtin_convertvector(rounded, Halfwords);
  std::memcpy(to, &halves, sizeof halves);
}

// 2^whole * 2^fraction with |fraction| <= 1/2, the second by its Taylor series: relative error
// below 2e-7.
[[gnu::always_inline]] inline Floats exp_of(const Floats& x) {
  constexpr float kLog2E = 1.44269504f;
  constexpr float kToInteger =
      12582912.0f;  // 1.5 * 2^23: adding it leaves the nearest integer in the low bits
  constexpr float kLimit = 126.0f;  // beyond it the power of two is no normal number
  Floats power = x * kLog2E;
  power = power > kLimit ? Floats{} + kLimit : power;
  power = power < -kLimit ? Floats{} - kLimit : power;
  const Floats shifted = power + kToInteger;
  const Floats fraction = power - (shifted - kToInteger);
  Floats sum = fraction * 1.54035304e-4f + 1.33335581e-3f;
  sum = sum * fraction + 9.61812911e-3f;
  sum = sum * fraction + 5.55041087e-2f;
  sum = sum * fraction + 2.40226507e-1f;
  sum = sum * fraction + 6.93147181e-1f;
  sum = sum * fraction + 1.0f;
  return bits_of<Floats>(bits_of<Words>(sum) + (bits_of<Words>(shifted) << 23));
}

template <bool kSilu>
[[gnu::always_inline]] inline Floats scaled(const Floats& x, float inverse_norm,
                                            const Floats& scale) {
  const Floats value = x * inverse_norm * scale;
  if constexpr (kSilu) return value / (exp_of(-value) + 1.0f);
  return value;
}

[[gnu::always_inline]] inline float sum_of(const Floats& lanes) {
  float parts[kLanes];
  std::memcpy(parts, &lanes, sizeof parts);
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) parts[i] += parts[i + width];
  }
  return parts[0];
}

template <typename Element, bool kSilu>
void rows(const Element* x, const float* scale, Element* y, int64_t num_rows, int64_t width) {
  constexpr float kLeastNorm = 1e-12f;
  const int64_t whole = width - width % kLanes;
  const int64_t rest = width - whole;
  for (int64_t row = 0; row < num_rows; ++row, x += width, y += width) {
    // What is left over at the end of a row goes through a vector filled up with zeros.
    Element tail[kLanes] = {};
    std::memcpy(tail, x + whole, rest * sizeof(Element));

    Floats value, squares = {};
    for (int64_t i = 0; i < whole; i += kLanes) {
      load(x + i, value);
      squares += value * value;
    }
    load(tail, value);
    squares += value * value;
    const float norm = std::sqrt(sum_of(squares));
    const float inverse_norm = 1.0f / (norm > kLeastNorm ? norm : kLeastNorm);

    Floats factor;
    for (int64_t i = 0; i < whole; i += kLanes) {
      load(x + i, value);
      load(scale + i, factor);
      store(scaled<kSilu>(value, inverse_norm, factor), y + i);
    }
    if (rest > 0) {
      float tail_scale[kLanes] = {};
      std::memcpy(tail_scale, scale + whole, rest * sizeof(float));
      load(tail, value);
      load(tail_scale, factor);
      store(scaled<kSilu>(value, inverse_norm, factor), tail);
      std::memcpy(y + whole, tail, rest * sizeof(Element));
    }
  }
}

template <typename Element>
void rows(const void* x, const float* scale, void* y, int64_t num_rows, int64_t width, bool silu) {
  const auto* from = static_cast<const Element*>(x);
  auto* to = static_cast<Element*>(y);
  silu ? rows<Element, true>(from, scale, to, num_rows, width)
       : rows<Element, false>(from, scale, to, num_rows, width);
}

}  // namespace
}  // namespace sora::kernels::cpu
