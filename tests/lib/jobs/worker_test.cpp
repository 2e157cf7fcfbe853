#include "lib/jobs/worker.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gtest/gtest.h>

#include <chrono>
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

}  // namespace
}  // namespace sora
