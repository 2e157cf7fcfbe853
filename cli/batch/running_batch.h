// Which batches of a folder processes are at work on at this moment, by locks on files below .sora
// that end with the process.
#pragma once

#include <string>

#include "lib/jobs/output_folder.h"

namespace sora::cli {

class RunningBatch {
 public:
  // This process is at work on the batch while the object lives.
  RunningBatch(const OutputFolder& folder, const std::string& batch);
  RunningBatch(RunningBatch&& other) noexcept;
  RunningBatch& operator=(RunningBatch&&) = delete;
  ~RunningBatch();

  // Whether no other process is; then none can begin before share().
  bool take_alone();
  void share();

 private:
  int fd_;
};

}  // namespace sora::cli
