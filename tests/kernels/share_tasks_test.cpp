#include "kernels/cpu/share_tasks.h"

#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <vector>

namespace sora::kernels::cpu {
namespace {

// A number of threads for the kernels until the end of a test.
class Threads {
 public:
  explicit Threads(int threads) { at::set_num_threads(threads); }
  ~Threads() { at::set_num_threads(before_); }
  Threads(const Threads&) = delete;
  Threads& operator=(const Threads&) = delete;

 private:
  const int before_ = at::get_num_threads();
};

TEST(ShareTasks, DoesEachTaskOnce) {
  for (const int threads : {1, 2, 5}) {
    const Threads with(threads);
    for (const int64_t count : {0, 1, 2, 3, 7, 1000}) {
      std::vector<std::atomic<int>> done(static_cast<size_t>(count));
      share_tasks(count, [&](int64_t begin, int64_t end) {
        ASSERT_LT(begin, end);
        for (int64_t task = begin; task < end; ++task) ++done.at(static_cast<size_t>(task));
      });
      for (int64_t task = 0; task < count; ++task)
        EXPECT_EQ(done[static_cast<size_t>(task)], 1)
            << "task " << task << " of " << count << ", " << threads << " threads";
    }
  }
}

TEST(ShareTasks, RunsHoldTheLeastNumberOfTasksButForTheLast) {
  const Threads with(2);
  constexpr int64_t kCount = 103, kLeast = 10;
  std::atomic<int64_t> done = 0;
  share_tasks(kCount, kLeast, [&](int64_t begin, int64_t end) {
    EXPECT_TRUE(end - begin >= kLeast || end == kCount) << begin << " to " << end;
    done += end - begin;
  });
  EXPECT_EQ(done, kCount);
}

// The thread that has the first task waits in it until all tasks outside of its run are done.
TEST(ShareTasks, OneSlowThreadLeavesTheRestToTheOther) {
  const Threads with(2);
  constexpr int64_t kCount = 100;
  std::mutex mutex;
  std::condition_variable changed;
  int64_t done = 0;
  bool others_finished = false;
  share_tasks(kCount, [&](int64_t begin, int64_t end) {
    std::unique_lock lock(mutex);
    if (begin == 0) {
      EXPECT_LE(end, kCount / 4) << "a first run that long leaves the other thread too little";
      others_finished = changed.wait_for(lock, std::chrono::seconds(60),
                                         [&] { return done == kCount - (end - begin); });
    }
    done += end - begin;
    changed.notify_all();
  });
  EXPECT_TRUE(others_finished);
  EXPECT_EQ(done, kCount);
}

TEST(ShareTasks, WhatATaskThrowsComesOut) {
  const Threads with(2);
  EXPECT_THROW(share_tasks(10,
                           [](int64_t begin, int64_t end) {
                             if (begin <= 6 && 6 < end) throw std::runtime_error("task 6");
                           }),
               std::runtime_error);
}

}  // namespace
}  // namespace sora::kernels::cpu
