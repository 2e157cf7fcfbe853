// A file that appears under its name only when it is whole: bytes go to a temporary name in the
// same folder, commit() puts them on the disk and renames. The order of fsync and rename is what
// makes it hold through a power cut.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "lib/core/unfinished_files.h"

namespace sora {

class OutputFile {
 public:
  // Throws Error(Usage) where `path` exists and `force` is false, or is no regular file,
  // Error(NotFound) where its folder is missing. Creates nothing.
  static void check(const std::string& path, bool force);

  // "-" is stdout, which is written straight through. Throws as check() does, and Error(Io).
  OutputFile(const std::string& path, bool force);
  // Removes the temporary file unless it was committed.
  ~OutputFile();
  OutputFile(const OutputFile&) = delete;
  OutputFile& operator=(const OutputFile&) = delete;

  // All of it, or Error(Io) saying whether the disk is full or the pipe closed.
  void write(const void* data, size_t size);
  int64_t seek(int64_t position);  // the new position, or -1 where it is a stream
  int64_t size() const { return size_; }

  void commit();

  bool is_stream() const { return is_stream_; }
  const std::string& path() const { return path_; }
  const std::string& temporary_path() const { return temporary_path_; }

 private:
  [[noreturn]] void fail_with(int error_number, const char* action) const;

  std::string path_;
  std::string temporary_path_;
  UnfinishedFile unfinished_;
  bool force_;
  bool is_stream_ = false;
  int fd_ = -1;
  int64_t position_ = 0;
  int64_t size_ = 0;
};

// Renames without replacing what has the new name, or replacing it with `force`. Throws
// Error(Usage) where it exists, Error(Io).
void rename_into_place(const std::string& from, const std::string& to, bool force);

// Puts a folder's entries, or a file's bytes, on the disk. Throws Error(Io).
void sync_path(const std::string& path);

// The folder part of a path; "." where there is none.
std::string folder_of(const std::string& path);

}  // namespace sora
