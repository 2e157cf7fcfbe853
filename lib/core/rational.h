// A frame rate or time base as an exact fraction, e.g. 30000/1001.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "lib/export.h"

namespace sora {

// Always in lowest terms with a positive denominator.
struct SORA_EXPORT Rational {
  int64_t num = 0;
  int64_t den = 1;

  Rational() = default;
  Rational(int64_t numerator, int64_t denominator = 1);  // throws Error(Usage) on denominator 0

  double value() const { return static_cast<double>(num) / static_cast<double>(den); }
  bool operator==(const Rational&) const = default;
};

// "16", "23.976", "30000/1001". Throws Error(Usage) on anything else.
SORA_EXPORT Rational parse_rational(std::string_view text);

// "16" or "30000/1001".
SORA_EXPORT std::string to_string(const Rational& rational);

}  // namespace sora
