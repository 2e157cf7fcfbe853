#include "lib/jobs/prices.h"

#include <algorithm>
#include <cmath>

#include "lib/core/error.h"
#include "lib/jobs/plan_refusal.h"

namespace sora {
namespace {

constexpr double kRounding = 1e-9;  // of sums of products; a credit is whole

}  // namespace

bool fits(const Size& size, const Size& limit) {
  const auto [short_side, long_side] = std::minmax(size.width, size.height);
  const auto [short_limit, long_limit] = std::minmax(limit.width, limit.height);
  return short_side <= short_limit && long_side <= long_limit;
}

const PriceClass& PriceTable::class_of(const Size& size) const {
  for (const PriceClass& row : classes) {
    if (fits(size, row.size)) return row;
  }
  refuse(PlanRefusal::Door::Limit, "there is no price for {}; the largest size with one is {}",
         to_string(size), classes.empty() ? "none" : to_string(classes.back().size));
}

double billed_seconds(const ClipShape& shape) {
  const double rate = shape.fps.value();
  const double seconds = static_cast<double>(shape.num_frames) / rate;
  const double whole = std::floor(seconds);
  return whole >= 1 && static_cast<double>(shape.num_frames) - whole * rate <= 1 + kRounding
             ? whole
             : seconds;
}

int64_t price_of(const PriceTable& table, const PriceClass& price_class, double seconds) {
  double credits = 0;
  double start_s = 0;
  for (size_t bracket = 0; start_s < seconds; ++bracket) {
    const bool is_last = bracket + 1 == price_class.credits_per_second.size();
    const double stop_s = is_last ? seconds : std::min(seconds, start_s + table.bracket_s);
    credits += price_class.credits_per_second[bracket] * (stop_s - start_s);
    start_s = stop_s;
  }
  return static_cast<int64_t>(std::ceil(credits - kRounding));
}

int64_t price_of(const PriceTable& table, const ClipShape& shape) {
  return shape.variations * price_of(table, table.class_of(shape.size), billed_seconds(shape));
}

}  // namespace sora
