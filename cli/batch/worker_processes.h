// Several processes on one store: started, watched, replaced when they die, and stopped together.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace sora::cli {

class WorkerProcesses {
 public:
  // Processes of this program, none started yet, with `arguments` without its name. Each gets one
  // of `shares` of the processor's threads. They end when this process does.
  WorkerProcesses(int64_t shares, std::vector<std::string> arguments);
  ~WorkerProcesses();  // stops what still runs and waits for it
  WorkerProcesses(const WorkerProcesses&) = delete;
  WorkerProcesses& operator=(const WorkerProcesses&) = delete;

  struct End {
    int exit_code = 0;  // -1: by a signal
    int signal = 0;
  };
  std::vector<End> collect();  // those that have ended since
  int num_running() const;
  void start_up_to(int64_t count);
  void signal(int number);  // to all that run

 private:
  void start();

  std::vector<std::string> arguments_;
  std::vector<int> pids_;
};

}  // namespace sora::cli
