// One process at a time writes into a gallery or library: flock(2) of its folder, which ends with
// the process.
#pragma once

#include <filesystem>

#include "lib/core/observer.h"

namespace sora {

class FolderLock {
 public:
  // Waits until no other holds it, until the observer asks to stop. A file system without such
  // locks does without.
  FolderLock(const std::filesystem::path& folder, const Observer& observer);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int fd_;
};

}  // namespace sora
