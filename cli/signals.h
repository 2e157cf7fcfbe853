// Ctrl-C and SIGTERM: the first asks the work to stop at the next step, the second ends the program
// at once.
#pragma once

namespace sora::cli {

// Also makes a closed pipe an error of write(2) instead of a signal, and a mapped file that was cut
// short (SIGBUS) the exit code of a damaged input; processes that are started can be waited for.
void install_signal_handlers();
// From now on nothing is said of the first signal.
void stop_without_a_word();
// What the handlers call before they end the program at once; async-signal-safe, may be null.
void clean_up_with(void (*clean_up)());
bool stop_signalled();  // safe from any thread
// Throws Error(Stopped) after SIGTERM, Error(Cancelled) after another one: while nothing is made
// yet.
void check_not_signalled();
bool is_worker();  // a process of another sora, which speaks for it when both are stopped
bool termination_signalled();  // by SIGTERM, which asks for a stop that can be gone on from

// After clean-up: ends the program by the signal that asked for it, so that a shell loop sees it
// and stops too. Returns only when there was no signal.
void end_by_signal();

}  // namespace sora::cli
