// A file that appears whole under its final name or not at all: written under a temporary name
// beside it, synced, renamed, and the directory synced, so that it survives a power cut as well as
// a crash.
#pragma once

#include <cstddef>
#include <filesystem>

#include "lib/core/unfinished_files.h"

namespace sora {

class AtomicFile {
 public:
  // Throws Error(Io) naming the path and the reason, as all the members do.
  explicit AtomicFile(const std::filesystem::path& path);
  ~AtomicFile();  // removes the temporary file unless commit() was reached
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* data, size_t size);
  void commit();  // replaces a file of that name

 private:
  [[noreturn]] void fail_with_errno(const char* action) const;

  std::filesystem::path path_;
  std::filesystem::path temporary_;
  UnfinishedFile unfinished_;
  int fd_ = -1;
};

}  // namespace sora
