// Tasks shared out to threads as they come free. Cores differ in speed: efficiency cores beside
// performance cores, a core that another program or another guest of the host is using. With equal
// shares all would wait for the slowest.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>

namespace sora::kernels::cpu {

// Calls work(begin, end) for runs of the tasks 0 .. count - 1, each task in one of them. A free
// thread takes the next run: long ones first, so that neighbours stay together, down to one task
// in the end (guided self-scheduling, Polychronopoulos and Kuck 1987). Which thread does a task
// is left to chance, so what it writes must not depend on that.
template <typename Work>
void share_tasks(int64_t count, const Work& work) {
  const int64_t threads = std::min<int64_t>(at::get_num_threads(), count);
  if (threads <= 1) {
    if (count > 0) work(int64_t{0}, count);
    return;
  }
  std::atomic<int64_t> next = 0;
  at::parallel_for(0, threads, 1, [&](int64_t, int64_t) {
    int64_t begin = next.load(), end = 0;
    while (begin < count) {
      end = begin + std::max<int64_t>(1, (count - begin) / (2 * threads));
      if (!next.compare_exchange_weak(begin, end)) continue;
      work(begin, end);
      begin = next.load();
    }
  });
}

}  // namespace sora::kernels::cpu
