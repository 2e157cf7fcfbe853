// The folder that a batch writes into, and nowhere else: its own state below .sora, a staging
// folder for each job, and the way from there to the final names.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "lib/jobs/job.h"

namespace sora {

using Sha256OfFile = std::function<std::string(const std::filesystem::path&)>;

struct KeptFiles {
  bool is_whole = false;  // all are there, as they were left
  std::string altered;    // one that is not as it was left; empty: none
};

class OutputFolder {
 public:
  // Makes the folder where it is missing. Throws Error(Io) where it cannot be made.
  explicit OutputFolder(const std::filesystem::path& root);

  const std::filesystem::path& root() const { return root_; }
  std::filesystem::path journal() const { return journal_of(root_); }
  // Of a folder that need not be there.
  static std::filesystem::path journal_of(const std::filesystem::path& root) {
    return root / ".sora" / "journal.sqlite";
  }

  // Throws Error(Usage) for a name that is absolute, leads outside, hides itself or is too long.
  static void check_name(const std::string& name);

  // Whether something has this name. Throws Error(Usage) where a part of it is a symbolic link.
  bool exists(const std::string& name) const;

  // An empty folder for the files of a job, on the same file system. `key` is the job's: latents
  // that one of another key left under this number are forgotten, as a journal that is begun anew
  // gives the numbers out again.
  std::filesystem::path stage(int64_t job, const std::string& key) const;
  void clear_stage(int64_t job) const;

  // In a folder beside a job's staging folder: its latents, once they are sampled. They stay when
  // the stage is cleared, so that a job that was cut off need not sample again.
  static std::filesystem::path latents_beside(const std::filesystem::path& stage);
  void forget_latents(int64_t job) const;
  // Both, of a job that nobody goes on with.
  void forget_unmade(int64_t job) const {
    clear_stage(job);
    forget_latents(job);
  }

  // What lies in the staging folder, on the disk, by the names it is to have.
  std::vector<JobFile> staged_files(int64_t job, const Sha256OfFile& sha256) const;
  // Gives them their names and forgets the latents; those that have theirs already are left. Throws
  // Error(Usage) where a name was taken meanwhile and `force` is false, Error(Io); without `force`
  // none of them has its name then.
  std::vector<JobFile> publish(int64_t job, const std::vector<JobFile>& files, bool force) const;

  // Whether anything can still be written here: false where the disk is full or has gone read-only.
  bool takes_files() const;

  // What is left of a job's files: by size and time of change, else by digest.
  KeptFiles compare(const std::vector<JobFile>& files, const Sha256OfFile& sha256) const;
  // Removes those that are as they were left.
  void remove_unaltered(const std::vector<JobFile>& files, const Sha256OfFile& sha256) const;

 private:
  std::filesystem::path root_;
};

}  // namespace sora
