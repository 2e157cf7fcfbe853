// One job of a batch or queue as the store keeps it.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace sora {

enum class JobState {
  Pending,
  Running,  // leased by a process
  Made,     // its files are whole in the staging folder and on their way to their names
  Done,
  Failed,
  Cancelled,
};

std::string_view to_string(JobState state);  // "pending", "running", ...

// Whether a process has it in hand.
constexpr bool is_under_way(JobState state) {
  return state == JobState::Running || state == JobState::Made;
}

enum class Lane { Priority, Relaxed };  // relaxed jobs run when no priority job waits

std::string_view to_string(Lane lane);

struct JobFile {
  std::string name;  // relative to the output folder
  int64_t bytes = 0;
  int64_t mtime_ns = 0;
  std::string sha256;
};

struct NewJob {
  std::string key;  // what makes it this job and no other: command and output
  // Arguments of sora without the output: {"generate", "a red ball", "--seed=1"}.
  std::vector<std::string> command;
  std::string output;  // relative to the output folder
  std::string model;   // jobs of one model run together
  std::string place;   // "prompts.txt:12"
  Lane lane = Lane::Priority;
  std::string owner;  // whose queue and credits; empty: the user's own
  int64_t max_tries = 1;
  int64_t max_running = 0;                            // of the owner's jobs at a time; 0: no limit
  bool force = false;                                 // it replaces files that are in the way
  nlohmann::json details = nlohmann::json::object();  // the front end's own: what the API was asked
};

struct Job : NewJob {
  int64_t id = 0;
  JobState state = JobState::Pending;
  int64_t tries = 0;
  int64_t losses = 0;   // how often the process that made it has ended without a word
  double progress = 0;  // 0 to 1
  std::string phase;
  std::vector<JobFile> files;  // of Made and Done; else those that it left when it was Done
  nlohmann::json result;       // of Done
  std::string error_kind;      // of Failed, or of the last try
  std::string error;
  double added_s = 0;  // seconds since 1970; 0: not yet
  double started_s = 0;
  double finished_s = 0;
  int64_t finish_number = 0;  // 1, 2, ... in the order of their ends; of its last one
};

}  // namespace sora
