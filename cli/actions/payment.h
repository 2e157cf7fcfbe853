// Credits of what the command line makes at once: set aside when it is planned, settled clip by
// clip, given back where it ends without.
#pragma once

#include <string>

#include "cli/command.h"
#include "lib/jobs/account.h"
#include "lib/sora.h"

namespace sora::cli {

class ClipPayment : public Admission {
 public:
  // `what` is said in the ledger: "generate".
  ClipPayment(Account& account, std::string what) : account_(account), what_(std::move(what)) {}
  ~ClipPayment() override;
  ClipPayment(const ClipPayment&) = delete;
  ClipPayment& operator=(const ClipPayment&) = delete;

  void planned(const ClipShape& shape) override;
  void made(int variation) override;

 private:
  Account& account_;
  std::string what_;
  std::string work_;  // empty: nothing is set aside
  int variations_ = 0;
  int num_made_ = 0;
};

// What the ledger says of a work: "generate 854x480, 5 s".
std::string work_text(const std::string& what, const ClipShape& shape);

// The line of a dry run: "60, of 940 left of the plan plus for November 2026".
std::string credits_line(const Account& account, const Quote& quote);
nlohmann::json credits_json(const Account& account, const Quote& quote);

}  // namespace sora::cli
