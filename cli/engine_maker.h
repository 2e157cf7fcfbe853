// Makes the jobs of a store with the engine, its models kept loaded from one job to the next.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "cli/command.h"
#include "lib/jobs/account.h"
#include "lib/jobs/worker.h"
#include "lib/sora.h"

namespace sora::cli {

class EngineMaker : public JobMaker, public JobCredits {
 public:
  // Jobs of `store` are made, under the plan that each was added with, or `plan` where it was added
  // with none. Credits of jobs are found by store and number.
  EngineMaker(std::filesystem::path store, std::string plan);
  ~EngineMaker() override;

  nlohmann::json make(const Job& job, const std::filesystem::path& stage,
                      Observer& observer) override;
  void prepare(const std::vector<Job>& jobs, Observer& observer) override;
  std::string sha256(const std::filesystem::path& path) override {
    return engine_->sha256(path.string());
  }

  void settle(const JobStore& store, const Job& job) override;
  void refund(const JobStore& store, const Job& job) override;
  void lost(const JobStore& store, const Job& job) override;

  Engine& engine() { return *engine_; }
  // Throws as load_plan.
  Account& account_of(const std::string& plan, const std::string& owner);

 private:
  std::vector<ClipResult> make_clips(const Request& request, const std::filesystem::path& latents,
                                     Observer& observer);

  class Payment;
  Account& account_of(const Job& job);

  std::filesystem::path store_;
  std::string plan_;
  std::map<std::pair<std::string, std::string>, Account> accounts_;  // by plan and owner
  std::set<int64_t> open_;  // jobs whose credits are set aside by this process
  std::unique_ptr<Engine> engine_;
};

// The request of a job's command line. Throws Error(Usage) where this version does not understand
// it.
MakeClips parse_job(const std::vector<std::string>& command);

}  // namespace sora::cli
