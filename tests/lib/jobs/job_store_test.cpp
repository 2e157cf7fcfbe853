#include "lib/jobs/job_store.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <set>

#include "lib/jobs/plan_refusal.h"
#include "tests/error_of.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

NewJob job(const std::string& key, Lane lane = Lane::Priority) {
  NewJob job;
  job.key = key;
  job.command = {"generate", key};
  job.output = key + ".mp4";
  job.lane = lane;
  return job;
}

std::vector<NewJob> many(int count) {
  std::vector<NewJob> jobs;
  for (int i = 0; i < count; ++i) jobs.push_back(job(std::to_string(i)));
  return jobs;
}

// Runs `work` in a process of its own; its exit status.
template <typename Work>
int in_process(Work work) {
  const pid_t pid = fork();
  if (pid == 0) {
    work();
    _exit(0);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  return status;
}

TEST(JobStore, KeepsAJobThroughItsStates) {
  const ScratchDirectory scratch;
  JobStore store(scratch / "s.sqlite");
  const int64_t id = store.add(job("a"));
  EXPECT_EQ(store.add(job("a")), id);
  EXPECT_EQ(store.claim({})->id, id);
  EXPECT_FALSE(store.claim({}));
  EXPECT_TRUE(store.renew(id, "denoise", 0.5));
  EXPECT_EQ(store.find(id)->phase, "denoise");
  EXPECT_TRUE(store.mark_made(id, {{"a.mp4", 3, 1, "00"}}, {{"x", 1}}));
  EXPECT_TRUE(store.mark_done(id, {{"a.mp4", 3, 1, "00"}}));
  const Job done = *store.find(id);
  EXPECT_EQ(done.state, JobState::Done);
  EXPECT_EQ(done.files.at(0).name, "a.mp4");
  EXPECT_EQ(done.result.at("x"), 1);
  EXPECT_FALSE(store.renew(id, "denoise", 0.5));
  EXPECT_EQ(store.finished_after("", 0).size(), 1u);
}

TEST(JobStore, FailedJobsAreTriedAgainAsOftenAsTheyMay) {
  const ScratchDirectory scratch;
  JobStore store(scratch / "s.sqlite");
  NewJob twice = job("a");
  twice.max_tries = 2;
  const int64_t id = store.add(twice);
  store.claim({});
  EXPECT_EQ(store.mark_failed(id, Error(ErrorKind::Io, "no"), true), JobState::Pending);
  EXPECT_FALSE(store.claim({})) << "not before the pause is over";
  usleep(1'100'000);
  ASSERT_TRUE(store.claim({}));
  EXPECT_EQ(store.mark_failed(id, Error(ErrorKind::Io, "no"), true), JobState::Failed);
  EXPECT_EQ(store.retry({id}), 1);
  store.claim({});
  EXPECT_EQ(store.mark_failed(id, Error(ErrorKind::Input, "never"), false), JobState::Failed);
}

TEST(JobStore, RelaxedJobsWaitAndJobsOfTheLoadedModelComeFirst) {
  const ScratchDirectory scratch;
  JobStore store(scratch / "s.sqlite");
  store.add(job("relaxed", Lane::Relaxed));
  NewJob other = job("other");
  other.model = "other";
  store.add(other);
  NewJob same = job("same");
  same.model = "same";
  store.add(same);
  EXPECT_EQ(store.claim({.batch = "", .loaded_model = "same"})->key, "same");
  EXPECT_EQ(store.claim({.batch = "", .loaded_model = "same"})->key, "other");
  EXPECT_EQ(store.claim({})->key, "relaxed");
}

TEST(JobStore, ABatchForgetsWhatItHadAndNothingElse) {
  const ScratchDirectory scratch;
  JobStore store(scratch / "s.sqlite");
  const int64_t of_no_batch = store.add(job("a"));
  const int64_t of_another = store.set_batch("other", {job("b")}).at(0);
  const std::vector<int64_t> ids = store.set_batch("batch", {job("c"), job("d"), job("b")});
  store.set_batch("batch", {job("d")});
  EXPECT_TRUE(store.find(of_no_batch));
  EXPECT_TRUE(store.find(of_another));
  EXPECT_FALSE(store.find(ids[0]));
  EXPECT_TRUE(store.find(ids[1]));
}

TEST(JobStore, AnOwnerRunsNoMoreAtATimeThanAllowed) {
  const ScratchDirectory scratch;
  JobStore store(scratch / "s.sqlite");
  for (const char* key : {"a", "b"}) {
    NewJob limited = job(key);
    limited.owner = "ann";
    limited.max_running = 1;
    store.add(limited);
  }
  const auto first = store.claim({});
  EXPECT_FALSE(store.claim({}));
  store.mark_done(first->id, {});
  EXPECT_TRUE(store.claim({}));
}

TEST(JobStore, ADeadProcessLosesItsLease) {
  const ScratchDirectory scratch;
  const auto path = scratch / "s.sqlite";
  JobStore(path).set_batch("b", many(2));
  in_process([&] {
    JobStore store(path);
    store.claim({});
    const auto made = store.claim({});
    store.mark_made(made->id, {{"1.mp4", 1, 1, "00"}}, nullptr);
    raise(SIGKILL);
  });
  JobStore store(path);
  EXPECT_EQ(store.counts({}).running, 2);
  const std::vector<Job> made = store.recover().made;
  ASSERT_EQ(made.size(), 1u);
  EXPECT_TRUE(store.mark_done(made[0].id, made[0].files));
  EXPECT_EQ(store.claim({})->tries, 1);
  EXPECT_TRUE(store.recover().made.empty()) << "our own lease is alive";
}

TEST(JobStore, AJobThatKeepsLosingItsProcessFails) {
  const ScratchDirectory scratch;
  const auto path = scratch / "s.sqlite";
  const int64_t id = JobStore(path).add(job("a"));
  const auto lose = [&] {  // recovered by a new process each time
    in_process([&] {
      JobStore(path).claim({});
      raise(SIGKILL);
    });
    in_process([&] { JobStore(path).recover(JobStore::Losses::Counted); });
  };
  for (int round = 0; round < kMaxLosses; ++round) lose();
  JobStore store(path);
  EXPECT_EQ(store.find(id)->state, JobState::Pending);
  lose();
  EXPECT_EQ(store.find(id)->state, JobState::Failed);
  EXPECT_EQ(store.retry({id}), 1);
  lose();
  EXPECT_EQ(store.find(id)->state, JobState::Pending) << "counted anew";
}

TEST(JobStore, AJournalOfBeforeLossesWereCountedIsTakenUp) {
  const ScratchDirectory scratch;
  const auto path = scratch / "s.sqlite";
  const int64_t id = JobStore(path).add(job("a"));
  {
    SQLite::Database old(path.string(), SQLite::OPEN_READWRITE);
    for (const char* column : {"losses", "force"})
      old.exec(std::string("ALTER TABLE jobs DROP COLUMN ") + column);
  }
  JobStore store(path);
  EXPECT_EQ(store.find(id)->losses, 0);
  EXPECT_EQ(store.claim({})->id, id);
}

TEST(JobStore, AFailureSaysWhichDoorRefused) {
  const ScratchDirectory scratch;
  JobStore store(scratch / "s.sqlite");
  const auto kind_after = [&](const std::string& key, const Error& error) {
    const int64_t id = store.add(job(key));
    store.claim({});
    store.mark_failed(id, error, false);
    return store.find(id)->error_kind;
  };
  EXPECT_EQ(kind_after("a", Error(ErrorKind::Refused, "the policy")), "refused");
  EXPECT_EQ(kind_after("b", PlanRefusal(PlanRefusal::Door::Limit, "too long")), "plan_limit");
  EXPECT_EQ(kind_after("c", PlanRefusal(PlanRefusal::Door::Credits, "spent")), "credits");
}

TEST(JobStore, EightProcessesTakeAThousandJobsEachOnce) {
  const ScratchDirectory scratch;
  const auto path = scratch / "s.sqlite";
  JobStore(path).set_batch("b", many(1000));
  std::vector<pid_t> pids;
  for (int process = 0; process < 8; ++process) {
    pids.push_back(fork());
    if (pids.back() == 0) {
      JobStore store(path);
      std::ofstream log(scratch / ("log" + std::to_string(process)));
      while (const auto claimed = store.claim({.batch = "b", .loaded_model = ""})) {
        log << claimed->id << "\n";
        store.mark_done(claimed->id, {});
      }
      log.close();
      _exit(0);
    }
  }
  for (const pid_t pid : pids) waitpid(pid, nullptr, 0);
  std::multiset<int64_t> taken;
  for (int process = 0; process < 8; ++process) {
    std::ifstream log(scratch / ("log" + std::to_string(process)));
    for (int64_t id = 0; log >> id;) taken.insert(id);
  }
  EXPECT_EQ(taken.size(), 1000u);
  EXPECT_EQ(std::set<int64_t>(taken.begin(), taken.end()).size(), 1000u);
  EXPECT_EQ(JobStore(path).counts({}).done, 1000);
}

TEST(JobStore, CancelReachesWaitingAndRunningJobs) {
  const ScratchDirectory scratch;
  JobStore store(scratch / "s.sqlite");
  const int64_t running = store.add(job("a"));
  const int64_t waiting = store.add(job("b"));
  store.claim({});
  EXPECT_TRUE(store.cancel(waiting));
  EXPECT_EQ(store.find(waiting)->state, JobState::Cancelled);
  EXPECT_TRUE(store.cancel(running));
  EXPECT_TRUE(store.cancel_wanted(running));
  EXPECT_FALSE(store.remove(running));
  EXPECT_TRUE(store.mark_cancelled(running));
  EXPECT_FALSE(store.cancel(running));
  EXPECT_TRUE(store.remove(running));
}

// Bytes 18 and 19 of an SQLite file: 1 with a rollback journal, 2 with a write-ahead log.
std::string versions_of(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(20, '\0');
  file.read(bytes.data(), 20);
  return bytes.substr(18);
}

TEST(JobStore, AFileKeepsTheJournalItWasBegunWith) {
  const ScratchDirectory scratch;
  const std::filesystem::path plain = scratch / "plain.sqlite", logged = scratch / "logged.sqlite";
  { JobStore begun(plain, JournalMode::Rollback); }
  { JobStore begun(logged); }
  for (const auto& path : {plain, logged}) {
    const std::string before = versions_of(path);
    JobStore store(path, path == plain ? JournalMode::LogWherePossible : JournalMode::Rollback);
    store.add(job("a"));
    ASSERT_TRUE(store.claim({}));
    EXPECT_EQ(versions_of(path), before);
  }
  EXPECT_EQ(versions_of(plain), "\x01\x01");
}

TEST(JobStore, AFileThatIsNoDatabaseOrOfALaterVersionIsRefused) {
  const ScratchDirectory scratch;
  scratch.write("s.sqlite", std::string(5000, 'x'));
  EXPECT_EQ(error_of([&] { JobStore store(scratch / "s.sqlite"); }).kind(), ErrorKind::Input);
  EXPECT_EQ(error_of([&] { JobStore store("/proc/none/s.sqlite"); }).kind(), ErrorKind::Io);
}

}  // namespace
}  // namespace sora
