// Calls to a hub that may fail for a while.
#pragma once

#include <chrono>
#include <thread>

#include "lib/core/error.h"
#include "lib/core/observer.h"

namespace sora {

constexpr int kMaxAttempts = 6;

// Twice as long each time.
inline void wait_after(int attempt) {
  std::this_thread::sleep_for(std::chrono::milliseconds(100) * (1 << attempt));
}

// Calls until it succeeds or has failed kMaxAttempts times in a row, waiting longer each time.
template <typename Call>
auto with_retries(const Observer& observer, const Call& call) {
  for (int attempt = 1;; ++attempt) {
    try {
      return call();
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Io || attempt == kMaxAttempts) throw;
    }
    check_stop(observer);
    wait_after(attempt);
  }
}

}  // namespace sora
