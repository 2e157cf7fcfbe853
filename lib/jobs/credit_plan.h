// A plan: what a month holds, what a clip costs, and where the limits are. A TOML file; `local`,
// `plus` and `pro` are built in.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/jobs/prices.h"

namespace sora {

struct CreditPlan {
  std::string name;
  std::string file;                          // empty: built in
  std::string label;                         // where its numbers come from
  std::optional<int64_t> credits_per_month;  // empty: nothing is counted
  std::optional<Size> max_size;
  std::optional<double> max_duration_s;
  int64_t max_concurrent = 0;  // jobs at a time; 0: no limit
  bool relaxed = true;         // whether there is a lane without credits, behind all other jobs
  Watermark watermark = Watermark::None;  // what every clip has to carry
  PriceTable prices;

  // Whether anything has to be asked and written down before a clip is made.
  bool has_limits() const {
    return credits_per_month || max_size || max_duration_s || max_concurrent > 0;
  }
  // `output` with the marks that the plan wants besides those it has.
  OutputSpec with_watermark(OutputSpec output) const;

  // What names it again from any folder.
  std::string reference() const { return file.empty() ? name : file; }
};

// `wish` is a name or the path of a file (it ends in .toml or holds a slash). Empty: $SORA_PLAN,
// else `plan` of config.toml in the user's configuration, else "local". A name is looked for as
// plans/NAME.toml in the configuration and then among those built in. Throws Error(NotFound |
// Input).
CreditPlan load_plan(const std::string& wish);

// Throws Error(Input) naming file and line of what is unknown or out of range.
CreditPlan plan_from_toml(std::string_view text, const std::string& file);

// Names of all that load_plan finds.
std::vector<std::string> plan_names();

}  // namespace sora
