// One flag, set by the handler and read by the observer; everything the handler calls is
// async-signal-safe.
#include "cli/signals.h"

#include <sys/prctl.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstdlib>

#include "lib/core/error.h"

namespace sora::cli {
namespace {

volatile std::sig_atomic_t g_signal = 0;
volatile std::sig_atomic_t g_is_worker = 0;
volatile std::sig_atomic_t g_is_quiet = 0;
volatile std::sig_atomic_t g_input_exit_code = 0;
std::atomic<void (*)()> g_clean_up = nullptr;

[[noreturn]] void end_at_once(int code) {
  if (void (*clean_up)() = g_clean_up) clean_up();
  _exit(code);
}

void on_signal(int signal) {
  if (g_signal != 0) end_at_once(128 + signal);
  g_signal = signal;
  if (g_is_worker != 0 || g_is_quiet != 0) return;
  constexpr char kMessage[] = "\nstopping after this step; once more to stop at once\n";
  const ssize_t written = write(STDERR_FILENO, kMessage, sizeof kMessage - 1);
  static_cast<void>(written);
}

// What has been read of a mapped file is not there any more: somebody cut it short.
void on_bus_error(int) {
  constexpr char kMessage[] =
      "\nsora: a file of weights was cut short, or could not be read, while it was in use; writers "
      "should replace it by "
      "renaming\n";
  const ssize_t written = write(STDERR_FILENO, kMessage, sizeof kMessage - 1);
  static_cast<void>(written);
  end_at_once(g_input_exit_code);
}

}  // namespace

void install_signal_handlers() {
  int ends_with_parent = 0;  // which WorkerProcesses and ranks ask for
  prctl(PR_GET_PDEATHSIG, &ends_with_parent);
  g_is_worker = ends_with_parent != 0 ? 1 : 0;
  struct sigaction action = {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  struct sigaction hangup = {};  // a terminal that closes, unless nohup(1) has it ignored
  sigaction(SIGHUP, nullptr, &hangup);
  if (hangup.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, nullptr);
  g_input_exit_code = exit_code(ErrorKind::Input);
  signal(SIGBUS, on_bus_error);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGCHLD, SIG_DFL);  // ignored, as a caller may leave it, it takes what waitpid(2) tells
}

void stop_without_a_word() { g_is_quiet = 1; }
void clean_up_with(void (*clean_up)()) { g_clean_up = clean_up; }
bool stop_signalled() { return g_signal != 0; }
void check_not_signalled() {
  if (!stop_signalled()) return;
  if (!termination_signalled()) fail(ErrorKind::Cancelled, "interrupted");
  fail(ErrorKind::Stopped, "stopped before anything was made; the same command begins again");
}
bool is_worker() { return g_is_worker != 0; }
bool termination_signalled() { return g_signal == SIGTERM || g_signal == SIGHUP; }

void end_by_signal() {
  if (g_signal == 0) return;
  signal(g_signal, SIG_DFL);
  raise(g_signal);
}

}  // namespace sora::cli
