// Which batches of a folder processes are at work on at this moment, by locks on files below .sora
// that end with the process.
#pragma once

#include <string>

#include "lib/core/file_lock.h"
#include "lib/jobs/output_folder.h"

namespace sora::cli {

class RunningBatch {
 public:
  // This process is at work on the batch while the object lives.
  RunningBatch(const OutputFolder& folder, const std::string& batch);

  // Whether no other process is; then none can begin before share().
  bool take_alone();
  void share();

 private:
  FileLock lock_;
};

}  // namespace sora::cli
