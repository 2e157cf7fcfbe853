// Parsing accepts what ffmpeg accepts for a frame rate: integers, fractions and decimals; the
// decimals by which the NTSC rates are known mean the exact fractions over 1001.
#include "lib/core/rational.h"

#include <charconv>
#include <cmath>
#include <numeric>

#include "lib/core/error.h"

namespace sora {
namespace {

constexpr int64_t kMaxTerm = 1'000'000'000;
constexpr double kMaxDecimal = 1e6;
constexpr int64_t kDecimalSteps = 1000;  // decimals are taken to the nearest thousandth

struct NtscRow {
  std::string_view decimal;
  int64_t num;  // over 1001
};

constexpr NtscRow kNtscRates[] = {
    {"23.976", 24000}, {"23.98", 24000}, {"29.97", 30000}, {"59.94", 60000}, {"119.88", 120000},
};

bool parse_number(std::string_view text, double& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && std::isfinite(value);
}

bool parse_integer(std::string_view text, int64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= -kMaxTerm &&
         value <= kMaxTerm;
}

}  // namespace

Rational::Rational(int64_t numerator, int64_t denominator) : num(numerator), den(denominator) {
  if (den == 0) fail(ErrorKind::Usage, "{}/0 is not a number; the denominator must not be 0", num);
  if (den < 0) {
    num = -num;
    den = -den;
  }
  const int64_t divisor = std::gcd(num, den);
  if (divisor > 1) {
    num /= divisor;
    den /= divisor;
  }
}

Rational parse_rational(std::string_view text) {
  for (const NtscRow& row : kNtscRates) {
    if (text == row.decimal) return Rational(row.num, 1001);
  }
  const size_t slash = text.find('/');
  int64_t num = 0;
  int64_t den = 1;
  double value = 0;
  if (slash != std::string_view::npos) {
    if (parse_integer(text.substr(0, slash), num) && parse_integer(text.substr(slash + 1), den) &&
        den > 0) {
      return Rational(num, den);
    }
  } else if (parse_integer(text, num)) {
    return Rational(num);
  } else if (parse_number(text, value) && std::abs(value) < kMaxDecimal) {
    return Rational(std::llround(value * kDecimalSteps), kDecimalSteps);
  }
  fail(ErrorKind::Usage, "'{}' is not a rate; write a number such as 16, 23.976 or 30000/1001",
       text);
}

std::string to_string(const Rational& rational) {
  return rational.den == 1 ? fmt::format("{}", rational.num)
                           : fmt::format("{}/{}", rational.num, rational.den);
}

}  // namespace sora
