// flock(2): a lock between processes, which ends with the one that holds it.
#pragma once

#include <filesystem>

#include "lib/core/observer.h"

namespace sora {

// On a file, made where there is none, or on a folder. Where that cannot be opened, or lies on a
// file system without such locks, nobody waits. Two objects of one process lock each other out as
// those of two processes do; std::lock_guard takes one.
class FileLock {
 public:
  explicit FileLock(const std::filesystem::path& path);
  FileLock(FileLock&& other) noexcept;
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

  void lock();
  // Throws Error(Cancelled) when the observer asks to stop before it is this one's turn.
  void lock(const Observer& observer);
  // False where another holds it; what this one held by lock_shared() may be lost then.
  bool try_lock();
  void lock_shared();
  void unlock();

 private:
  int fd_;
};

}  // namespace sora
