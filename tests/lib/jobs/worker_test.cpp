#include "lib/jobs/worker.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <fstream>
#include <thread>

#include "tests/scratch_directory.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

// Begins a clip and takes its time over it, until it is to stop.
class SlowMaker : public JobMaker {
 public:
  explicit SlowMaker(std::function<void()> meanwhile) : meanwhile_(std::move(meanwhile)) {}

  nlohmann::json make(const Job&, const fs::path& stage, Observer& observer) override {
    std::ofstream(stage / "clip.mp4") << "half";
    std::ofstream(OutputFolder::latents_beside(stage)) << "sampled";
    meanwhile_();
    observer.advance(Phase::Denoise, 1);
    for (int round = 0; round < 200 && !observer.stop_requested(); ++round)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    was_stopped = observer.stop_requested();
    fail(ErrorKind::Cancelled, "stopped");
  }
  void prepare(const std::vector<Job>&, Observer&) override {}
  std::string sha256(const fs::path&) override { return "00"; }

  bool was_stopped = false;

 private:
  std::function<void()> meanwhile_;
};

class CountedRefunds : public JobCredits {
 public:
  void settle(const JobStore&, const Job&) override {}
  void refund(const JobStore&, const Job&) override { ++count; }
  void lost(const JobStore&, const Job&) override {}

  int count = 0;
};

TEST(Worker, AJobWhoseLeaseIsLostIsLeftToItsNewMaker) {
  const ScratchDirectory scratch;
  const OutputFolder folder(scratch / "clips");
  JobStore store(folder.journal());
  NewJob wish;
  wish.key = "a";
  wish.command = {"generate", "a"};
  wish.output = "a.mp4";
  const int64_t id = store.add(wish);
  SlowMaker maker([&] {  // another machine takes this process for dead
    SQLite::Database(folder.journal().string(), SQLite::OPEN_READWRITE, 10'000)
        .exec("UPDATE jobs SET host = 'elsewhere', pid = 1, lease_until_s = 1e15");
  });
  CountedRefunds credits;
  WorkerOptions options;
  options.credits = &credits;
  WorkerDisplay unheard;
  EXPECT_EQ(work(store, folder, maker, unheard, options), WorkerEnd::Finished);
  EXPECT_TRUE(maker.was_stopped);
  EXPECT_EQ(store.find(id)->state, JobState::Running);
  const fs::path stage = scratch / "clips/.sora/work/1";
  EXPECT_TRUE(fs::exists(stage / "clip.mp4"));
  EXPECT_TRUE(fs::exists(OutputFolder::latents_beside(stage)));
  EXPECT_EQ(credits.count, 1);
}

// What a process leaves that dies while it makes a job.
void make_and_die(const OutputFolder& folder) {
  const pid_t pid = fork();
  if (pid == 0) {
    const Job job = *JobStore(folder.journal()).claim({});
    const fs::path stage = folder.stage(job.id, job.key);
    std::ofstream(stage / "clip.mp4") << "half";
    std::ofstream(OutputFolder::latents_beside(stage)) << "sampled";
    raise(SIGKILL);
  }
  waitpid(pid, nullptr, 0);
}

TEST(Worker, NothingIsLeftOfJobsThatEndWithTheirProcess) {
  const ScratchDirectory scratch;
  const OutputFolder folder(scratch / "clips");
  NewJob wish;
  wish.key = "a";
  wish.command = {"generate", "a"};
  wish.output = "a.mp4";
  const int64_t cancelled = JobStore(folder.journal()).add(wish);
  make_and_die(folder);
  const fs::path work = scratch / "clips/.sora/work";
  EXPECT_FALSE(fs::is_empty(work));
  JobStore store(folder.journal());
  store.cancel(cancelled);
  WorkerDisplay unheard;
  recover(store, folder, unheard, false);
  EXPECT_EQ(store.find(cancelled)->state, JobState::Cancelled);
  EXPECT_TRUE(fs::is_empty(work));

  wish.key = "b";
  const int64_t lost = store.add(wish);
  for (int round = 0; round <= kMaxLosses; ++round) {
    make_and_die(folder);
    recover(store, folder, unheard, false, JobStore::Losses::Counted);
  }
  EXPECT_EQ(store.find(lost)->state, JobState::Failed);
  EXPECT_TRUE(fs::is_empty(work));
}

TEST(Worker, AJobReplacesFilesWhereItWasToldTo) {
  class Maker : public JobMaker {
   public:
    nlohmann::json make(const Job& job, const fs::path& stage, Observer&) override {
      std::ofstream(stage / job.output) << "new";
      return nullptr;
    }
    void prepare(const std::vector<Job>&, Observer&) override {}
    std::string sha256(const fs::path&) override { return "00"; }
  } maker;
  const ScratchDirectory scratch;
  const OutputFolder folder(scratch / "clips");
  JobStore store(folder.journal());
  std::ofstream(scratch / "clips/a.mp4") << "old clip";
  WorkerDisplay unheard;
  for (const bool force : {false, true}) {
    NewJob wish;
    wish.key = force ? "b" : "a";
    wish.command = {"generate", "a"};
    wish.output = "a.mp4";
    wish.force = force;
    const int64_t id = store.add(wish);
    work(store, folder, maker, unheard, {});
    EXPECT_EQ(store.find(id)->state, force ? JobState::Done : JobState::Failed);
    EXPECT_EQ(fs::file_size(scratch / "clips/a.mp4"), force ? 3u : 8u);
  }
}

}  // namespace
}  // namespace sora
