// Videos that the server was asked for, as jobs of a queue: an order is the command line that would
// make it.
#pragma once

#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "cli/engine_maker.h"
#include "lib/jobs/job_store.h"
#include "lib/jobs/output_folder.h"
#include "lib/sora.h"

namespace sora::cli {

class VideoJobs : public VideoService {
 public:
  // `models` are offered by their names, the first also for what clients call sora-2 and
  // sora-2-pro. `options` go before those of an order on every command line. `max_waiting` jobs of
  // one caller wait at a time.
  VideoJobs(const std::filesystem::path& queue, std::vector<std::string> models,
            std::vector<std::string> options, std::string plan, int64_t max_waiting);

  void check_caller(const ApiCaller& caller) override;
  VideoRecord create(const ApiCaller& caller, const VideoOrder& order) override;
  VideoRecord remix(const ApiCaller& caller, const std::string& id,
                    const std::string& prompt) override;
  VideoRecord find(const ApiCaller& caller, const std::string& id) override;
  VideoPage list(const ApiCaller& caller, const std::string& after, int64_t limit,
                 bool ascending) override;
  void remove(const ApiCaller& caller, const std::string& id) override;
  std::string file(const ApiCaller& caller, const std::string& id) override;
  std::string upload_path(const std::string& extension) override;
  std::vector<std::string> models() override { return models_; }

  Engine& engine() { return maker_.engine(); }

 private:
  struct Wish {
    std::vector<std::string> command;
    std::string prompt;
    std::string model;    // as the client called it
    std::string seconds;  // empty: as long as it comes out
    std::string upload;
    std::string remixed_from;
  };
  VideoRecord add(const ApiCaller& caller, const Wish& wish);
  Account& account_of(const ApiCaller& caller);
  Job job_of(const ApiCaller& caller, const std::string& id);
  bool belongs_to(const Job& job, const ApiCaller& caller) const;
  void remove_files(const Job& job);
  void forget_cancelled();

  OutputFolder folder_;
  JobStore store_;
  EngineMaker maker_;
  std::vector<std::string> models_;
  std::vector<std::string> options_;
  std::string plan_;
  int64_t max_waiting_;
  std::mutex mutex_;            // of all that is above
  std::set<int64_t> unwanted_;  // deleted while they ran: forgotten once they have stopped
};

}  // namespace sora::cli
