// Parsing accepts what ffmpeg accepts for a frame rate: integers, fractions and decimals; the NTSC decimals
// (23.976, 29.97, 59.94) mean their exact fractions over 1001.
#include "lib/core/rational.h"

#include <charconv>
#include <cmath>
#include <numeric>

#include "lib/core/error.h"

namespace sora {
namespace {

constexpr int64_t kMaxTerm = 1'000'000'000;

bool parse_number(std::string_view text, double& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && std::isfinite(value);
}

bool parse_integer(std::string_view text, int64_t& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && std::abs(value) <= kMaxTerm;
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
  const size_t slash = text.find('/');
  int64_t num = 0;
  int64_t den = 1;
  if (slash != std::string_view::npos) {
    if (parse_integer(text.substr(0, slash), num) && parse_integer(text.substr(slash + 1), den) && den > 0) {
      return Rational(num, den);
    }
  } else if (parse_integer(text, num)) {
    return Rational(num);
  } else if (double value = 0; parse_number(text, value) && std::abs(value) < 1e6) {
    const double ntsc = value * 1001.0 / 1000.0;
    if (std::abs(ntsc - std::round(ntsc)) < 0.0011 * std::round(ntsc) / 24.0 &&
        std::abs(value - std::round(value)) > 1e-9 && std::round(ntsc) >= 1) {
      return Rational(static_cast<int64_t>(std::round(ntsc)) * 1000, 1001);
    }
    return Rational(static_cast<int64_t>(std::llround(value * 1000)), 1000);
  }
  fail(ErrorKind::Usage, "'{}' is not a rate; write a number such as 16, 23.976 or 30000/1001", text);
}

std::string to_string(const Rational& rational) {
  return rational.den == 1 ? fmt::format("{}", rational.num) : fmt::format("{}/{}", rational.num, rational.den);
}

}  // namespace sora
