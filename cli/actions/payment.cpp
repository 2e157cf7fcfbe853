#include "cli/actions/payment.h"

#include <fmt/format.h>

#include <random>

#include "lib/core/error.h"

namespace sora::cli {

ClipPayment::~ClipPayment() {
  if (work_.empty()) return;
  try {
    for (int variation = num_made_; variation < variations_; ++variation)
      account_.refund(work_, "it was not made", variation);
  } catch (const Error&) {
    // This process ends; what it held is given back by the next that looks.
  }
}

void ClipPayment::planned(const ClipShape& shape) {
  std::random_device random;
  const std::string work = fmt::format("once {:08x}{:08x}", random(), random());
  if (!account_.reserve(work, work_text(what_, shape), shape, Lane::Priority, nullptr)) return;
  work_ = work;
  variations_ = shape.variations;
}

void ClipPayment::made(int variation) {
  if (!work_.empty()) account_.settle(work_, variation);
  num_made_ = variation + 1;
}

std::string work_text(const std::string& what, const ClipShape& shape) {
  return fmt::format("{} {}, {:.10g} s", what, to_string(shape.size), billed_seconds(shape));
}

std::string credits_line(const Account& account, const Quote& quote) {
  if (!quote.left) return fmt::format("none are counted (plan {})", account.plan().name);
  return fmt::format("{}, of {} left of the plan {} for {}", quote.credits, *quote.left,
                     account.plan().name, month_name(quote.month));
}

nlohmann::json credits_json(const Account& account, const Quote& quote) {
  nlohmann::json object = {{"plan", account.plan().name}, {"credits", quote.credits}};
  if (quote.left) {
    object["left"] = *quote.left;
    object["month"] = quote.month;
  }
  return object;
}

}  // namespace sora::cli
