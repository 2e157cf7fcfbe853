// Slurm through its own commands: sbatch, squeue, scancel, scontrol, by their manual pages of
// version 22.05.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace sora {

// What each task of an array is to have, in sbatch's own words; empty or 0: the site's default.
struct SlurmWishes {
  std::string partition;
  std::string account;
  std::string time_limit;
  std::string memory;
  int cpus = 0;
  int gpus = 0;
  std::vector<std::string> extra;  // whole options: "--qos=low"
};

struct SlurmArray {
  std::string name;  // by which it is found again
  int num_tasks = 0;
  std::filesystem::path log_folder;  // one file a task
  // Of each task; $SLURM_ARRAY_TASK_ID stands between the last two words.
  std::vector<std::string> command;
  SlurmWishes wishes;
};

// The batch script of an array. Throws Error(Usage) for a wish with a line break in it.
std::string slurm_script(const SlurmArray& array);

// Hands a script in; returns the array's number. Throws Error(NotFound) where Slurm is not
// installed, Error(Io) with what sbatch says where it refuses.
std::string submit_to_slurm(const std::filesystem::path& script);

// Whether a task of this name waits, runs or completes. Throws Error(Io) where the controller does
// not answer.
bool is_in_slurm(const std::string& name);

// Asks all tasks of this name to stop, as at the end of their time.
void cancel_in_slurm(const std::string& name);

// How many tasks one array may have here: MaxArraySize, 1001 unless the site says otherwise.
int max_slurm_tasks();

}  // namespace sora
