#include "lib/core/unfinished_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <climits>
#include <cstring>
#include <utility>

namespace sora {
namespace {

// A handler may not allocate, nor wait for whoever was interrupted: the names have their places
// from the start.
struct Place {
  std::atomic<bool> is_taken = false;
  std::atomic<bool> is_named = false;  // name is whole
  char name[PATH_MAX] = {};
};
std::array<Place, 32> places;

// Without the C library's readdir(3), which allocates.
void remove_folder(const char* name) {
  const int folder = ::open(name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (folder < 0) return;
  alignas(dirent64) char entries[4096];
  long size = 0;
  while ((size = ::syscall(SYS_getdents64, folder, entries, sizeof entries)) > 0) {
    for (long at = 0; at < size;) {
      const auto* entry = reinterpret_cast<const dirent64*>(entries + at);
      ::unlinkat(folder, entry->d_name, 0);
      at += entry->d_reclen;
    }
  }
  ::close(folder);
  ::rmdir(name);
}

}  // namespace

UnfinishedFile::UnfinishedFile(const std::string& path) {
  if (path.size() >= sizeof Place::name) return;
  for (size_t i = 0; i < places.size(); ++i) {
    if (places[i].is_taken.exchange(true)) continue;
    std::memcpy(places[i].name, path.c_str(), path.size() + 1);
    places[i].is_named = true;
    place_ = static_cast<int>(i);
    return;
  }
}

UnfinishedFile::UnfinishedFile(UnfinishedFile&& other) noexcept
    : place_(std::exchange(other.place_, -1)) {}

UnfinishedFile& UnfinishedFile::operator=(UnfinishedFile&& other) noexcept {
  std::swap(place_, other.place_);
  return *this;
}

UnfinishedFile::~UnfinishedFile() {
  if (place_ < 0) return;
  Place& place = places[static_cast<size_t>(place_)];
  place.is_named = false;
  place.is_taken = false;
}

}  // namespace sora

extern "C" void sora_remove_unfinished_files() {
  for (const sora::Place& place : sora::places) {
    if (place.is_named && ::unlink(place.name) != 0) sora::remove_folder(place.name);
  }
}
