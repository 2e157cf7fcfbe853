// Makes the jobs of a store with the engine, its models kept loaded from one job to the next.
#pragma once

#include <memory>

#include "cli/command.h"
#include "lib/jobs/worker.h"
#include "lib/sora.h"

namespace sora::cli {

class EngineMaker : public JobMaker {
 public:
  EngineMaker();

  nlohmann::json make(const Job& job, const std::filesystem::path& stage,
                      Observer& observer) override;
  void prepare(const std::vector<Job>& jobs, Observer& observer) override;
  std::string sha256(const std::filesystem::path& path) override {
    return engine_->sha256(path.string());
  }

  Engine& engine() { return *engine_; }

 private:
  std::vector<ClipResult> make_clips(const Request& request, const std::filesystem::path& latents, Observer& observer);

  std::unique_ptr<Engine> engine_;
};

// The request of a job's command line. Throws Error(Usage) where this version does not understand
// it.
MakeClips parse_job(const std::vector<std::string>& command);

}  // namespace sora::cli
