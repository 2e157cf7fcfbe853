// Files under temporary names, which the process takes with it also where it ends without running a
// destructor: at a second Ctrl-C, or where mapped weights were cut short.
#pragma once

#include <string>

#include "lib/export.h"

namespace sora {

// While it lives, sora_remove_unfinished_files() removes the file of this name, or the folder and
// the files in it. Only so many are looked after at a time, and none whose name is longer than the
// system takes.
class UnfinishedFile {
 public:
  UnfinishedFile() = default;
  explicit UnfinishedFile(const std::string& path);
  UnfinishedFile(UnfinishedFile&& other) noexcept;
  UnfinishedFile& operator=(UnfinishedFile&& other) noexcept;
  ~UnfinishedFile();

 private:
  int place_ = -1;
};

}  // namespace sora

// For a signal handler: makes system calls and nothing else.
extern "C" SORA_EXPORT void sora_remove_unfinished_files();
