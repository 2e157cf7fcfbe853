// Each process is in a process group of its own: Ctrl-C reaches this one alone, which passes it on
// once.
#include "cli/batch/worker_processes.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "lib/core/error.h"

namespace sora::cli {
namespace {

constexpr const char* kOwnProgram = "/proc/self/exe";

}  // namespace

WorkerProcesses::WorkerProcesses(int64_t shares, std::vector<std::string> arguments)
    : arguments_(std::move(arguments)) {
  const int64_t threads = std::max<int64_t>(
      1, int64_t{std::thread::hardware_concurrency()} / std::max<int64_t>(1, shares));
  ::setenv("OMP_NUM_THREADS", std::to_string(threads).c_str(), /*overwrite=*/0);
}

WorkerProcesses::~WorkerProcesses() {
  signal(SIGTERM);
  for (const int pid : pids_) ::waitpid(pid, nullptr, 0);
}

void WorkerProcesses::start() {
  std::vector<char*> argv;
  std::string name = "sora";
  argv.push_back(name.data());
  for (std::string& argument : arguments_) argv.push_back(argument.data());
  argv.push_back(nullptr);
  // A signal that comes before the new program runs must end it, not the handler it inherited.
  sigset_t held, before;
  ::sigemptyset(&held);
  for (const int number : {SIGTERM, SIGINT}) ::sigaddset(&held, number);
  ::pthread_sigmask(SIG_BLOCK, &held, &before);
  const pid_t parent = ::getpid();
  const pid_t pid = ::fork();
  if (pid == 0) {
    for (const int number : {SIGTERM, SIGINT}) ::signal(number, SIG_DFL);
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0)
    fail(ErrorKind::Memory, "no further process can be started: {}", std::strerror(errno));
  if (pid == 0) {
    ::setpgid(0, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (::getppid() != parent) ::_exit(1);
    // Results are told by the first process.
    const int nowhere = ::open("/dev/null", O_WRONLY);
    if (nowhere < 0 || ::dup2(nowhere, STDOUT_FILENO) < 0) ::_exit(1);
    ::execv(kOwnProgram, argv.data());
    ::_exit(1);
  }
  pids_.push_back(pid);
}

void WorkerProcesses::start_up_to(int64_t count) {
  while (num_running() < count) start();
}

int WorkerProcesses::num_running() const { return static_cast<int>(pids_.size()); }

std::vector<WorkerProcesses::End> WorkerProcesses::collect() {
  std::vector<End> ends;
  std::vector<int> running;
  for (const int pid : pids_) {
    int status = 0;
    if (::waitpid(pid, &status, WNOHANG) == 0) {
      running.push_back(pid);
    } else {
      ends.push_back(WIFEXITED(status) ? End{WEXITSTATUS(status), 0} : End{-1, WTERMSIG(status)});
    }
  }
  pids_ = std::move(running);
  return ends;
}

void WorkerProcesses::signal(int number) {
  for (const int pid : pids_) ::kill(pid, number);
}

}  // namespace sora::cli
