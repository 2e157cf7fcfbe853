// What a call costs: processor time, and memory while it runs.
#pragma once

#include <gtest/gtest.h>
#include <malloc.h>

#include <cstdint>
#include <ctime>
#include <fstream>
#include <string>
#include <utility>

namespace sora {

struct Cost {
  double processor_seconds;
  int64_t peak_bytes;  // of the resident set, above what it was before
};

inline double processor_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// A field of /proc/self/status (proc(5)), in bytes: VmRSS, or VmHWM, the largest VmRSS so far.
inline int64_t memory_status(const std::string& field) {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    int64_t kib = 0;
    if (word == field + ":" && status >> kib) return kib * 1024;
  }
  ADD_FAILURE() << field << " is not in /proc/self/status";
  return 0;
}

// Counts the largest resident set anew from here on.
inline void reset_peak_memory() { std::ofstream("/proc/self/clear_refs") << "5"; }

template <typename Call>
Cost cost_of(Call&& call) {
  malloc_trim(0);  // or freed memory would be taken again without being counted
  reset_peak_memory();
  const int64_t resident = memory_status("VmRSS");
  const double begin = processor_seconds();
  std::forward<Call>(call)();
  return {processor_seconds() - begin, memory_status("VmHWM") - resident};
}

}  // namespace sora
