// The rows of rms_norm_silu with vectors of `kLanes` floats, for the units that are compiled for
// one processor each. Everything sits in an unnamed namespace: the same source compiled with other
// flags must not be merged by the linker.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#include "kernels/cpu/intrinsics.h"
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
[[gnu::always_inline]] inline Floats load(const float* from) {
  Floats to;
  std::memcpy(&to, from, sizeof to);
  return to;
}
[[gnu::always_inline]] inline Floats load(const uint16_t* from) {
  Halfwords halves;
  std::memcpy(&halves, from, sizeof halves);
  return bits_of<Floats>(__builtin_convertvector(halves, Words) << 16);
}
[[gnu::always_inline]] inline void store(const Floats& from, float* to) {
  std::memcpy(to, &from, sizeof from);
}
[[gnu::always_inline]] inline void store(const Floats& from, uint16_t* to) {
#ifdef __AVX512BF16__
  const __m256bh halves = _mm512_cvtneps_pbh(from);
#else
  const Words bits = bits_of<Words>(from);
  const Words rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  const Halfwords halves = __builtin_convertvector(rounded, Halfwords);
#endif
  std::memcpy(to, &halves, sizeof halves);
}

// exp(x) = 2^whole * 2^fraction with |fraction| <= 1/2, the second by its Taylor series. Relative
// error below 2e-7, or 5e-5 where the result is rounded to bf16 (half a unit there is 2e-3).
template <bool kForBf16>
[[gnu::always_inline]] inline Floats exp_of(const Floats& x) {
  constexpr float kLog2E = 1.44269504f;
  Floats power = x * kLog2E;
#ifdef __AVX512F__
  const Floats whole = _mm512_roundscale_ps(power, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
#else
  constexpr float kToInteger = 12582912.0f;  // 1.5 * 2^23: the sum has the nearest integer below
  constexpr float kLimit = 126.0f;           // beyond it the power of two is no normal number
  power = power > kLimit ? Floats{} + kLimit : power;
  power = power < -kLimit ? Floats{} - kLimit : power;
  const Floats shifted = power + kToInteger;
  const Floats whole = shifted - kToInteger;
#endif
  const Floats fraction = power - whole;
  Floats sum = fraction * 9.61812911e-3f + 5.55041087e-2f;
  if constexpr (!kForBf16) {
    sum = fraction * 1.54035304e-4f + 1.33335581e-3f;
    sum = sum * fraction + 9.61812911e-3f;
    sum = sum * fraction + 5.55041087e-2f;
  }
  sum = sum * fraction + 2.40226507e-1f;
  sum = sum * fraction + 6.93147181e-1f;
  sum = sum * fraction + 1.0f;
#ifdef __AVX512F__
  return _mm512_scalef_ps(sum, whole);
#else
  return bits_of<Floats>(bits_of<Words>(sum) + (bits_of<Words>(shifted) << 23));
#endif
}

template <bool kForBf16>
[[gnu::always_inline]] inline Floats silu(const Floats& value) {
  const Floats denominator = exp_of<kForBf16>(-value) + 1.0f;
#ifdef __AVX512F__
  // Relative error 2^-14, at a third of a division's time.
  if constexpr (kForBf16) return value * bits_of<Floats>(_mm512_rcp14_ps(denominator));
#endif
  return value / denominator;
}

[[gnu::always_inline]] inline float sum_of(const Floats& lanes) {
#ifdef __AVX512F__
  return _mm512_reduce_add_ps(lanes);
#else
  float parts[kLanes];
  std::memcpy(parts, &lanes, sizeof parts);
  for (int width = kLanes / 2; width > 0; width /= 2) {
    for (int i = 0; i < width; ++i) parts[i] += parts[i + width];
  }
  return parts[0];
#endif
}

[[gnu::always_inline]] inline float inverse_norm(const Floats& squares) {
  constexpr float kLeastNorm = 1e-12f;
  const float norm = std::sqrt(sum_of(squares));
  return 1.0f / (norm < kLeastNorm ? kLeastNorm : norm);
}

template <typename Element, bool kSilu>
[[gnu::always_inline]] inline void finish(const Floats& x, float inverse, const float* scale,
                                          Element* y) {
  constexpr bool kForBf16 = sizeof(Element) == 2;
  const Floats value = x * inverse * load(scale);
  store(kSilu ? silu<kForBf16>(value) : value, y);
}

// Rows of exactly `kVectors` vectors, which stay in registers between the two passes.
template <typename Element, bool kSilu, int kVectors>
void short_rows(const Element* x, const float* scale, Element* y, int64_t num_rows) {
  constexpr int kWidth = kVectors * kLanes;
  for (int64_t row = 0; row < num_rows; ++row, x += kWidth, y += kWidth) {
    Floats values[kVectors];
    Floats squares = {};
    for (int i = 0; i < kVectors; ++i) {
      values[i] = load(x + i * kLanes);
      squares += values[i] * values[i];
    }
    const float inverse = inverse_norm(squares);
    for (int i = 0; i < kVectors; ++i) {
      finish<Element, kSilu>(values[i], inverse, scale + i * kLanes, y + i * kLanes);
    }
  }
}

// Rows of any width; what is left over at the end goes through a vector filled up with zeros.
template <typename Element, bool kSilu>
void any_rows(const Element* x, const float* scale, Element* y, int64_t num_rows, int64_t width) {
  const int64_t whole = width - width % kLanes;
  const int64_t rest = width - whole;
  float tail_scale[kLanes] = {};
  std::memcpy(tail_scale, scale + whole, rest * sizeof(float));
  for (int64_t row = 0; row < num_rows; ++row, x += width, y += width) {
    Element tail[kLanes] = {};
    std::memcpy(tail, x + whole, rest * sizeof(Element));
    const Floats last = load(tail);
    Floats squares = last * last;
    for (int64_t i = 0; i < whole; i += kLanes) {
      const Floats value = load(x + i);
      squares += value * value;
    }
    const float inverse = inverse_norm(squares);
    for (int64_t i = 0; i < whole; i += kLanes) {
      finish<Element, kSilu>(load(x + i), inverse, scale + i, y + i);
    }
    finish<Element, kSilu>(last, inverse, tail_scale, tail);
    std::memcpy(y + whole, tail, rest * sizeof(Element));
  }
}

template <typename Element, bool kSilu>
void rows(const Element* x, const float* scale, Element* y, int64_t num_rows, int64_t width) {
  switch (width) {
    case 1 * kLanes:
      return short_rows<Element, kSilu, 1>(x, scale, y, num_rows);
    case 2 * kLanes:
      return short_rows<Element, kSilu, 2>(x, scale, y, num_rows);
    case 4 * kLanes:
      return short_rows<Element, kSilu, 4>(x, scale, y, num_rows);
    case 6 * kLanes:
      return short_rows<Element, kSilu, 6>(x, scale, y, num_rows);
    case 8 * kLanes:
      return short_rows<Element, kSilu, 8>(x, scale, y, num_rows);
    default:
      return any_rows<Element, kSilu>(x, scale, y, num_rows, width);
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
