// Tasks shared out to threads as they come free. Cores differ in speed: efficiency cores beside
// performance cores, a core that another program or another guest of the host is using. With equal
// shares all would wait for the slowest.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>

#include "kernels/cpu/ceil_div.h"

namespace sora::kernels::cpu {

// Calls work(begin, end) for runs of the tasks 0 .. count - 1, each task in one of them. A free
// thread takes the next run: long ones first, so that neighbours stay together, down to `least`
// tasks in the end (guided self-scheduling, Polychronopoulos and Kuck 1987). Which thread does a
// task is left to chance, so what it writes must not depend on that.
template <typename Work>
void share_tasks(int64_t count, int64_t least, const Work& work) {
  const int64_t threads = std::min<int64_t>(at::get_num_threads(), ceil_div(count, least));
  if (threads <= 1) {
    if (count > 0) work(int64_t{0}, count);
    return;
  }
  std::atomic<int64_t> next = 0;
  at::parallel_for(0, threads, 1, [&](int64_t, int64_t) {
    int64_t begin = next.load();
    while (begin < count) {
      const int64_t left = count - begin;
      const int64_t end = begin + std::min(left, std::max(least, left / (2 * threads)));
      if (!next.compare_exchange_weak(begin, end)) continue;
      work(begin, end);
      begin = next.load();
    }
  });
}

template <typename Work>
void share_tasks(int64_t count, const Work& work) {
  share_tasks(count, 1, work);
}

}  // namespace sora::kernels::cpu
