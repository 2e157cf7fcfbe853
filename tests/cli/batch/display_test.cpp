#include "cli/batch/display.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace sora::cli {
namespace {

Job running(int64_t id, double progress, int64_t tries = 1) {
  Job job;
  job.id = id;
  job.tries = tries;
  job.state = JobState::Running;
  job.progress = progress;
  job.output = "clip-" + std::to_string(id) + ".mp4";
  return job;
}

class BatchBars : public testing::Test {
 protected:
  // The bar for all jobs, as it is drawn when `jobs` were read from the journal.
  std::string whole(const std::vector<Job>& jobs) {
    testing::internal::CaptureStderr();
    shown_.under_way(jobs);
    const std::string drawn = testing::internal::GetCapturedStderr();
    return drawn.substr(std::min(drawn.size(), drawn.find("all ")));
  }
  void end(Job job) {
    job.state = JobState::Done;
    testing::internal::CaptureStderr();
    shown_.job_ended(job);
    testing::internal::GetCapturedStderr();
  }
  static Display bars() {
    Display display;
    display.progress = ProgressStyle::Bar;
    return display;
  }

  BatchDisplay shown_{bars(), "clips", 4, 0};
};

TEST_F(BatchBars, AJobThatEndedAfterItWasReadIsCountedOnce) {
  const std::vector<Job> read = {running(1, 0.8), running(2, 0.4)};
  EXPECT_NE(whole(read).find(" 30%  0 of 4 ended"), std::string::npos) << whole(read);
  end(read[0]);
  const std::string after = whole(read);
  EXPECT_NE(after.find(" 35%  1 of 4 ended"), std::string::npos) << after;
}

TEST_F(BatchBars, AJobOnItsWayToItsNameIsCountedOnce) {
  Job made = running(1, 1);
  made.state = JobState::Made;
  const std::string drawn = whole({running(1, 0.8), running(2, 0.4), made});
  EXPECT_NE(drawn.find(" 30%  0 of 4 ended"), std::string::npos) << drawn;
  const std::string later = whole({running(2, 0.4), made});
  EXPECT_NE(later.find(" 35%  0 of 4 ended"), std::string::npos) << later;
}

TEST_F(BatchBars, AFurtherTryOfAJobThatEndedIsShown) {
  end(running(1, 0.2));
  const std::string again = whole({running(1, 0.8, /*tries=*/2)});
  EXPECT_NE(again.find(" 45%  1 of 4 ended"), std::string::npos) << again;
}

}  // namespace
}  // namespace sora::cli
