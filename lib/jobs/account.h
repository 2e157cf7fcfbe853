// The door that every clip passes before it is made, whoever asks for it: limits of the plan,
// credits, how many at a time. Command line, batches, queue and server all hold one.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "lib/core/observer.h"
#include "lib/jobs/credit_plan.h"
#include "lib/jobs/job.h"
#include "lib/jobs/ledger.h"

namespace sora {

// What a clip would cost, and what there is.
struct Quote {
  int64_t credits = 0;
  std::optional<int64_t> left;  // before it; empty: no limit
  std::string month;
};

class Account {
 public:
  // `owner` is empty for the user's own; the ledger is opened when it is first needed, and never by
  // a plan without limits.
  explicit Account(CreditPlan plan, std::string owner = "");

  const CreditPlan& plan() const { return plan_; }
  const std::string& owner() const { return owner_; }
  bool is_counted() const { return plan_.credits_per_month.has_value(); }

  // Throws Error(Refused), saying what would fit: size, length, lane.
  void check_limits(const ClipShape& shape, Lane lane = Lane::Priority) const;

  // Credits of all variations; 0 where none are counted. Throws as check_limits.
  int64_t price(const ClipShape& shape, Lane lane = Lane::Priority) const;
  Quote quote(const ClipShape& shape, Lane lane = Lane::Priority);
  // The same and Error(Refused) where the credits do not suffice, with what would fit. `promised`
  // credits are spoken for besides what the ledger knows.
  Quote check(const ClipShape& shape, Lane lane = Lane::Priority, int64_t promised = 0);

  // Sets the credits aside; false where this plan has nothing to set aside. Where as many jobs run
  // as the plan allows: waits for one to end while `waits_for` is given and asks for no stop,
  // otherwise throws Error(Refused). Throws as check().
  bool reserve(const std::string& work, const std::string& text, const ClipShape& shape, Lane lane,
               const Observer* waits_for);
  void settle(const std::string& work, std::optional<int64_t> variation = {});
  void refund(const std::string& work, const std::string& reason,
              std::optional<int64_t> variation = {});
  void refund_open(const std::string& work,
                   const std::string& reason);  // what is not settled of it

  Balance balance();
  Ledger& ledger();

 private:
  CreditPlan plan_;
  std::string owner_;
  std::unique_ptr<Ledger> ledger_;
};

// "2026-11" as "November 2026", and the first day of the month after it as "1 December".
std::string month_name(const std::string& month);
std::string next_month_day(const std::string& month);

// A sentence part about what `credits` would buy instead of `shape`: "--variations 2, or 10 s, or
// 480p square would fit".
std::string what_fits(const CreditPlan& plan, const ClipShape& shape, int64_t credits);

}  // namespace sora
