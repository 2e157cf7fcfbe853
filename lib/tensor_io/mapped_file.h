// A file's bytes as read-only memory, paged in by the kernel as they are touched.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace sora {

class MappedFile {
 public:
  // Throws Error(NotFound) where there is no file, Error(Input) where it is not a regular file,
  // Error(Io) where it cannot be opened or mapped.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::span<const std::byte> bytes() const { return {data_, size_}; }

  // Reading a mapped page that the file no longer has kills the process, so who is about to read
  // asks first. Throws Error(Input) when the file was shortened or rewritten in place since it was
  // opened.
  void check_unchanged() const;

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  int fd_ = -1;
  int64_t modified_ns_ = 0;
};

}  // namespace sora
