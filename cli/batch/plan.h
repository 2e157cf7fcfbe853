// What a batch is to become: every job planned by its model, what all of it costs, and the faults
// of the whole.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "cli/batch/jobs.h"
#include "cli/engine_maker.h"

namespace sora::cli {

// Whether the prompts come from stdin or a pipe, and can be read once.
bool is_stream(const RunBatch& batch);
// Where the batch's clips and its journal lie.
std::filesystem::path folder_of(const RunBatch& batch);
// What the journal calls the batch: the prompt file, or what was read from a stream by its digest.
std::string name_of(const RunBatch& batch, const JobList& list);
// The journal of a folder that a batch ran in; throws Error(NotFound) where none did.
std::filesystem::path journal_in(const std::filesystem::path& folder);

class PlanCheck {
 public:
  struct Totals {
    int64_t frames = 0;
    double seconds = 0;
    int64_t memory_bytes = 0;  // of the job that takes most
    int64_t credits = 0;
  };

  // All must outlive it.
  PlanCheck(const RunBatch& batch, EngineMaker& maker, std::string file);

  // Plans one job that is to be made as the engine does; what is wrong with it, and for `strict`
  // what the plan would change, becomes a fault. The shape of its clips, where it can be planned.
  std::optional<ClipShape> check(const PlannedJob& planned);

  // What the whole costs, and what there is. Too few credits are a fault.
  Quote check_credits();

  const Account& account() const { return account_; }

  Totals totals;
  std::vector<Fault> faults;
  std::vector<Fault> notices;

 private:
  const RunBatch& batch_;
  Engine& engine_;
  Account& account_;
  std::string file_;
  std::vector<int64_t> running_totals_;  // of credits, after each job
};

void show_faults(const std::vector<Fault>& faults, const Display& display);
[[noreturn]] void fail_with_faults(const std::vector<Fault>& faults, const Display& display);
// Faults of the plan are told together with those of the file, by place.
[[noreturn]] void fail_with_faults(const JobList& list, const PlanCheck& check,
                                   const Display& display);

}  // namespace sora::cli
