#include "lib/jobs/account.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <cmath>
#include <thread>
#include <vector>

#include "lib/core/error.h"
#include "lib/jobs/plan_refusal.h"

namespace sora {
namespace {

constexpr auto kPause = std::chrono::milliseconds(200);

constexpr std::array<const char*, 12> kMonths = {"January",   "February", "March",    "April",
                                                 "May",       "June",     "July",     "August",
                                                 "September", "October",  "November", "December"};

std::string seconds_text(double seconds) { return fmt::format("{:.10g} s", seconds); }

}  // namespace

std::string month_name(const std::string& month) {
  return fmt::format("{} {}", kMonths.at(static_cast<size_t>(std::stoi(month.substr(5, 2)) - 1)),
                     month.substr(0, 4));
}

std::string next_month_day(const std::string& month) {
  return fmt::format("1 {}", kMonths.at(static_cast<size_t>(std::stoi(month.substr(5, 2)) % 12)));
}

std::string what_fits(const CreditPlan& plan, const ClipShape& shape, int64_t credits) {
  std::vector<std::string> choices;
  const PriceClass& own = plan.prices.class_of(shape.size);
  const double seconds = billed_seconds(shape);
  const int64_t each = price_of(plan.prices, own, seconds);
  if (shape.variations > 1 && each <= credits) {
    const int64_t count = each == 0 ? shape.variations : credits / each;
    choices.push_back(fmt::format("{} of the {} variations", count, shape.variations));
  }
  for (double shorter = std::ceil(seconds) - 1; shorter >= 1; --shorter) {
    if (price_of(plan.prices, own, shorter) * shape.variations > credits) continue;
    choices.push_back(seconds_text(shorter) + " of this size");
    break;
  }
  for (auto smaller = plan.prices.classes.rbegin(); smaller != plan.prices.classes.rend();
       ++smaller) {
    if (smaller->name == own.name || price_of(plan.prices, *smaller, seconds) >= each) continue;
    if (price_of(plan.prices, *smaller, seconds) * shape.variations > credits) continue;
    choices.push_back(
        fmt::format("{} ({}) of this length", smaller->name, to_string(smaller->size)));
    break;
  }
  if (choices.empty()) return "";
  return fmt::format("{} would fit", fmt::join(choices, ", or "));
}

Account::Account(CreditPlan plan, std::string owner)
    : plan_(std::move(plan)), owner_(std::move(owner)) {}

Ledger& Account::ledger() {
  if (!ledger_) ledger_ = std::make_unique<Ledger>();
  return *ledger_;
}

void Account::check_limits(const ClipShape& shape, Lane lane) const {
  if (plan_.max_size && !fits(shape.size, *plan_.max_size)) {
    refuse(PlanRefusal::Door::Limit,
           "the plan {} makes clips of up to {}, and this one is {}; --size {} would fit",
           plan_.name, to_string(*plan_.max_size), to_string(shape.size),
           to_string(shape.size.width < shape.size.height
                         ? Size{plan_.max_size->height, plan_.max_size->width}
                         : *plan_.max_size));
  }
  if (plan_.max_duration_s && billed_seconds(shape) > *plan_.max_duration_s + 1e-9) {
    refuse(PlanRefusal::Door::Limit,
           "the plan {} makes clips of up to {}, and this one is {}; {} would fit", plan_.name,
           seconds_text(*plan_.max_duration_s), seconds_text(billed_seconds(shape)),
           seconds_text(*plan_.max_duration_s));
  }
  if (lane == Lane::Relaxed && !plan_.relaxed)
    refuse(PlanRefusal::Door::Limit,
           "the plan {} has no relaxed lane; without --relaxed it would fit", plan_.name);
}

int64_t Account::price(const ClipShape& shape, Lane lane) const {
  check_limits(shape, lane);
  // The relaxed lane is the one that goes on when the credits are spent.
  return is_counted() && lane == Lane::Priority ? price_of(plan_.prices, shape) : 0;
}

Quote Account::quote(const ClipShape& shape, Lane lane) {
  Quote quote;
  quote.credits = price(shape, lane);
  if (!is_counted()) return quote;
  const Balance now = balance();
  quote.month = now.month;
  quote.left = *plan_.credits_per_month - now.used;
  return quote;
}

Quote Account::check(const ClipShape& shape, Lane lane, int64_t promised) {
  const Quote quote = this->quote(shape, lane);
  if (!quote.left || quote.credits <= *quote.left - promised) return quote;
  const int64_t left = *quote.left - promised;
  std::string mend = what_fits(plan_, shape, left);
  if (plan_.relaxed)
    mend +=
        (mend.empty() ? "" : ", or ") + std::string("without credits: sora queue add --relaxed");
  if (mend.empty()) mend = "nothing shorter or smaller fits";
  refuse(
      PlanRefusal::Door::Credits,
      "this costs {} credits, and {} of the plan {}'s {} for {} are left{}; {}; new credits come "
      "on {}",
      quote.credits, left, plan_.name, *plan_.credits_per_month, month_name(quote.month),
      promised > 0 ? fmt::format(" ({} are promised to jobs that wait)", promised) : "", mend,
      next_month_day(quote.month));
}

bool Account::reserve(const std::string& work, const std::string& text, const ClipShape& shape,
                      Lane lane, const Observer* waits_for) {
  const int64_t credits = price(shape, lane) / shape.variations;
  if (!is_counted() && plan_.max_concurrent == 0) return false;
  const Ledger::Wish wish{owner_,
                          plan_.name,
                          work,
                          text,
                          credits,
                          shape.variations,
                          plan_.credits_per_month,
                          plan_.max_concurrent};
  for (;;) {
    switch (ledger().reserve(wish)) {
      case Ledger::Answer::Reserved:
        return true;
      case Ledger::Answer::TooFew:
        check(shape, lane);  // says how many there are; they may have come back meanwhile
        continue;
      case Ledger::Answer::Busy:
        if (waits_for == nullptr) {
          refuse(PlanRefusal::Door::Limit,
                 "{} jobs run, as many as the plan {} makes at a time; wait for one to end, or let "
                 "this one wait: sora queue add",
                 plan_.max_concurrent, plan_.name);
        }
        check_stop(*waits_for);
        std::this_thread::sleep_for(kPause);
    }
  }
}

void Account::settle(const std::string& work, std::optional<int64_t> variation) {
  if (is_counted() || plan_.max_concurrent > 0) ledger().settle(work, variation);
}

void Account::refund(const std::string& work, const std::string& reason,
                     std::optional<int64_t> variation) {
  if (is_counted() || plan_.max_concurrent > 0) ledger().refund(work, reason, variation);
}

void Account::refund_open(const std::string& work, const std::string& reason) {
  if (is_counted() || plan_.max_concurrent > 0) ledger().refund_open(work, reason);
}

Balance Account::balance() { return ledger().balance(owner_); }

}  // namespace sora
