#include "lib/jobs/lent_jobs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "tests/scratch_directory.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

// Writes down what it is told: "settle 0#1", store and job.
class ToldCredits : public JobCredits {
 public:
  void settle(const JobStore& store, const Job& job) override { tell("settle", store, job); }
  void refund(const JobStore& store, const Job& job) override { tell("refund", store, job); }
  void lost(const JobStore& store, const Job& job) override { tell("lost", store, job); }

  std::vector<std::string> told;

 private:
  void tell(const std::string& what, const JobStore& store, const Job& job) {
    told.push_back(what + " " + store.path().stem().string() + "#" + std::to_string(job.id));
  }
};

class LentJobsTest : public ::testing::Test {
 protected:
  LentJobsTest() : folder_(scratch_ / "clips"), journal_(folder_.journal()) {
    std::vector<NewJob> jobs;
    for (int i = 0; i < 5; ++i) {
      NewJob job;
      job.key = std::to_string(i);
      job.command = {"generate", job.key};
      job.output = job.key + ".mp4";
      jobs.push_back(job);
    }
    journal_.set_batch("b", jobs);
  }

  // A task makes the first job of its store, up to the state given.
  Job make(JobStore& task, bool publishes) {
    const Job job = *task.claim({});
    std::ofstream(folder_.stage(job.id, job.key) / job.output) << job.key;
    const std::vector<JobFile> files =
        folder_.staged_files(job.id, [](const fs::path&) { return "00"; });
    task.mark_made(job.id, files, {{"x", 1}});
    if (publishes) task.mark_done(job.id, folder_.publish(job.id, files, false));
    return job;
  }

  ScratchDirectory scratch_;
  OutputFolder folder_;
  JobStore journal_;
  ToldCredits credits_;
};

TEST_F(LentJobsTest, EveryJobIsLentOnceAndNoRecoveryFreesIt) {
  const auto lent = LentJobs::lend(journal_, folder_, "b", 2);
  ASSERT_TRUE(lent);
  EXPECT_EQ(lent->num_tasks(), 2);
  EXPECT_EQ(lent->counts().pending, 5);
  EXPECT_EQ(JobStore(lent->store_of(0)).counts({}).pending, 3);
  EXPECT_FALSE(journal_.claim({}));
  EXPECT_TRUE(journal_.recover().made.empty());
  EXPECT_EQ(journal_.counts({}).running, 5);
  EXPECT_FALSE(LentJobs::lend(journal_, folder_, "b", 2)) << "nothing is left to lend";
}

TEST_F(LentJobsTest, StoresOfTasksHaveNoLogThatANetworkWouldBreak) {
  const auto lent = LentJobs::lend(journal_, folder_, "b", 1);
  JobStore store(lent->store_of(0));
  ASSERT_TRUE(store.claim({}));
  EXPECT_FALSE(fs::exists(lent->store_of(0).string() + "-wal"));
}

TEST_F(LentJobsTest, WhatTasksHaveDoneIsCollectedOnce) {
  auto lent = LentJobs::lend(journal_, folder_, "b", 2);
  JobStore task(lent->store_of(1));
  const Job made = make(task, true);
  ASSERT_EQ(lent->collect(journal_).size(), 1u);
  EXPECT_TRUE(lent->collect(journal_).empty());
  const Job settled = *journal_.find(made.id);
  EXPECT_EQ(settled.state, JobState::Done);
  EXPECT_EQ(settled.files.at(0).name, made.output);
  EXPECT_EQ(settled.result.at("x"), 1);
  EXPECT_EQ(LentJobs::all(folder_).at(0).under_way().size(), 4u);
}

TEST_F(LentJobsTest, WhatWasMadeGetsItsNameAndTheRestIsPendingAgain) {
  auto lent = LentJobs::lend(journal_, folder_, "b", 1);
  JobStore task(lent->store_of(0));
  const Job made = make(task, false);
  const Job cut_off = *task.claim({});
  const std::vector<Job> ended = lent->take_back(journal_, folder_, false, credits_);
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].id, made.id);
  EXPECT_TRUE(folder_.exists(made.output));
  EXPECT_EQ(journal_.find(cut_off.id)->state, JobState::Pending);
  EXPECT_EQ(journal_.counts({}).pending, 4);
  EXPECT_TRUE(LentJobs::all(folder_).empty());
}

TEST_F(LentJobsTest, CreditsOfWhatWasMadeAreSettledAndTheRestComeBackFromTheTasksStores) {
  auto lent = LentJobs::lend(journal_, folder_, "b", 2);  // tasks 0: jobs 1, 3, 5; 1: jobs 2, 4
  JobStore first(lent->store_of(0));
  JobStore second(lent->store_of(1));
  make(first, true);
  make(second, false);
  ASSERT_TRUE(second.claim({}));
  lent->take_back(journal_, folder_, false, credits_);
  EXPECT_THAT(credits_.told,
              ::testing::UnorderedElementsAre("lost 0#3", "lost 0#5", "settle 1#2", "lost 1#4"));
}

TEST_F(LentJobsTest, AJobThatLosesItsProcessAgainAndAgainHasFailed) {
  int64_t unlucky = 0;
  for (int round = 0; round <= kMaxLosses; ++round) {
    auto lent = LentJobs::lend(journal_, folder_, "b", 1);
    unlucky = JobStore(lent->store_of(0)).claim({})->id;
    lent->take_back(journal_, folder_, false, credits_);
  }
  EXPECT_EQ(journal_.find(unlucky)->state, JobState::Failed);
  EXPECT_EQ(journal_.counts({}).pending, 4);
}

}  // namespace
}  // namespace sora
