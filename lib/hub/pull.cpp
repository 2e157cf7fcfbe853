#include "lib/hub/pull.h"

#include <fmt/ranges.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <set>
#include <thread>

#include "lib/core/error.h"
#include "lib/hub/blob_cache.h"
#include "lib/hub/hub_api.h"
#include "lib/tensor_io/atomic_file.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxNamed = 8;  // of the files, in a message

void check_space(const fs::path& directory, int64_t needed) {
  struct statvfs status = {};
  if (::statvfs(directory.c_str(), &status) != 0) return;
  const auto free_bytes =
      static_cast<int64_t>(status.f_bavail) * static_cast<int64_t>(status.f_frsize);
  if (free_bytes >= needed) return;
  fail(ErrorKind::Io,
       "{}: has {} MB free, the model needs {} MB more; HF_HUB_CACHE names another place",
       directory.string(), free_bytes / 1'000'000, needed / 1'000'000);
}

// A relative link, as Hugging Face's tools make it.
void enter(const fs::path& snapshot, const HubFile& file, const fs::path& blob) {
  const fs::path link = snapshot / file.path;
  fs::create_directories(link.parent_path());
  const fs::path target = blob.lexically_relative(link.parent_path());
  std::error_code error;
  if (fs::is_symlink(link) && fs::read_symlink(link, error) == target) return;
  // Whoever looks meanwhile finds the old one or the new one.
  fs::path temporary = link;
  temporary += fmt::format(".{}.new", ::getpid());
  fs::remove(temporary, error);
  fs::create_symlink(target, temporary);
  fs::rename(temporary, link);
}

// Of files that are the same there is one blob.
int64_t num_bytes_missing(const std::vector<HubFile>& files, const BlobCache& blobs) {
  int64_t missing = 0;
  std::set<std::string> counted;
  for (const HubFile& file : files) {
    if (counted.insert(file.etag).second) missing += blobs.num_bytes_missing(file);
  }
  return missing;
}

void load_all(const std::vector<HubFile>& files, const PullOptions& options, BlobCache& blobs) {
  std::atomic<size_t> next = 0;
  std::exception_ptr first_failure;
  std::mutex mutex;
  const auto work = [&] {
    try {
      HttpClient client(hub_token());
      for (size_t i = next++; i < files.size(); i = next++) blobs.load(client, files[i]);
    } catch (...) {
      const std::lock_guard guard(mutex);
      if (!first_failure) first_failure = std::current_exception();
      next = files.size();
    }
  };
  std::vector<std::thread> threads;
  const int count = std::clamp(options.connections, 1, 16);
  for (int i = 0; i < count; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
  if (first_failure) std::rethrow_exception(first_failure);
}

void check_online(const HubName& name, const PullOptions& options) {
  const char* const set = std::getenv("HF_HUB_OFFLINE");
  const std::string offline = set != nullptr ? set : "";
  if (!options.offline && (offline.empty() || offline == "0" || offline == "false")) return;
  fail(ErrorKind::Refused,
       "{}: is not loaded, because --offline or HF_HUB_OFFLINE forbids the network",
       name.repository);
}

void check_not_empty(const HubListing& listing, const HubName& name, const PullOptions& options) {
  if (!listing.paths.empty()) return;
  std::vector<std::string> there = listing.all_paths;
  const bool are_more = there.size() > kMaxNamed;
  if (are_more) there.resize(kMaxNamed);
  fail(ErrorKind::NotFound, "{}@{}: has no file {}; it has: {}{}", name.repository, name.revision,
       options.include.empty() ? "of a model"
                               : fmt::format("that is {}", fmt::join(options.include, " or ")),
       fmt::join(there, ", "), are_more ? ", ..." : "");
}

// Which commit a branch or tag stands for.
void enter_revision(const fs::path& model, const std::string& revision, const std::string& commit) {
  if (revision == commit) return;
  const fs::path ref = model / "refs" / revision;
  fs::create_directories(ref.parent_path());
  AtomicFile entry(ref);
  entry.write(commit.data(), commit.size());
  entry.commit();
}

}  // namespace

PullResult pull_model(const HubName& name, const PullOptions& options, Observer& observer,
                      const fs::path& cache) {
  check_online(name, options);
  std::string folder = "models--" + name.repository;
  folder.replace(folder.find('/'), 1, "--");
  const fs::path model = cache / folder;

  HttpClient client(hub_token());
  const HubListing listing = list_hub_files(client, name, options.include, observer);
  check_not_empty(listing, name, options);
  std::vector<HubFile> files;
  PullResult result;
  for (const std::string& path : listing.paths) {
    check_stop(observer);
    files.push_back(describe_hub_file(client, name, listing.commit, path, observer));
    result.num_bytes += files.back().size;
  }
  BlobCache blobs(model, cache / ".locks" / folder, observer, result.num_bytes);
  check_space(model, num_bytes_missing(files, blobs));
  load_all(files, options, blobs);

  result.commit = listing.commit;
  result.snapshot = model / "snapshots" / listing.commit;
  for (const HubFile& file : files) enter(result.snapshot, file, blobs.path(file));
  enter_revision(model, name.revision, listing.commit);
  result.num_files = static_cast<int64_t>(files.size());
  result.num_bytes_loaded = blobs.num_bytes_loaded();
  return result;
}

}  // namespace sora
