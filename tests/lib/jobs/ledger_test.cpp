#include "lib/jobs/ledger.h"

#include <SQLiteCpp/SQLiteCpp.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <vector>

#include "tests/scratch_directory.h"

namespace sora {
namespace {

constexpr double kNovember_s = 1'795'600'000;  // 2026-11-25, UTC
constexpr double kDecember_s = kNovember_s + 10 * 86400;

Ledger::Wish wish(const std::string& work, int64_t credits, int64_t allowance = 100,
                  int variations = 1) {
  return {"", "plus", work, "generate", credits, variations, allowance, 0};
}

template <typename Work>
pid_t start(Work work) {
  const pid_t pid = fork();
  if (pid == 0) {
    work();
    _exit(0);
  }
  return pid;
}

int wait_for(pid_t pid) {
  int status = 0;
  waitpid(pid, &status, 0);
  return status;
}

class LedgerTest : public ::testing::Test {
 protected:
  Ledger open() {
    return Ledger(path(), [this] { return now_s; });
  }
  std::filesystem::path path() const { return scratch / "ledger.sqlite"; }
  int64_t used() { return open().balance("").used; }

  double now_s = kNovember_s;
  const ScratchDirectory scratch;
};

TEST_F(LedgerTest, ReservationsAreSettledOrGivenBackOnce) {
  Ledger ledger = open();
  EXPECT_EQ(ledger.reserve(wish("a", 60)), Ledger::Answer::Reserved);
  EXPECT_EQ(ledger.reserve(wish("b", 60)), Ledger::Answer::TooFew);
  EXPECT_EQ(ledger.balance("").reserved, 60);
  for (int time = 0; time < 2; ++time) {
    EXPECT_TRUE(ledger.refund("a", "it failed"));
    EXPECT_EQ(used(), 0);
  }
  for (int time = 0; time < 2; ++time) {
    EXPECT_TRUE(ledger.settle("a"));
    EXPECT_EQ(used(), 60) << "what was made after all is paid after all";
  }
  EXPECT_EQ(ledger.balance("").reserved, 0);
  EXPECT_FALSE(ledger.settle("never"));
  EXPECT_EQ(ledger.reserve(wish("a", 40)), Ledger::Answer::Reserved)
      << "the same work again is another reservation";
  EXPECT_EQ(used(), 100);
}

TEST_F(LedgerTest, WhatIsOpenComesBackAndWhatIsSettledStays) {
  Ledger ledger = open();
  ledger.reserve(wish("a", 10, 100, 2));
  ledger.settle("a", 0);
  EXPECT_TRUE(ledger.refund_open("a", "its process ended"));
  EXPECT_EQ(used(), 10);
  EXPECT_EQ(ledger.balance("").running, 0);
  EXPECT_FALSE(ledger.refund_open("a", "its process ended")) << "nothing is open any more";
  EXPECT_EQ(used(), 10);
}

TEST_F(LedgerTest, VariationsAreReservedTogetherAndEndAlone) {
  Ledger ledger = open();
  EXPECT_EQ(ledger.reserve(wish("a", 30, 100, 4)), Ledger::Answer::TooFew) << "all or none";
  EXPECT_EQ(used(), 0);
  EXPECT_EQ(ledger.reserve(wish("a", 20, 100, 4)), Ledger::Answer::Reserved);
  EXPECT_EQ(ledger.balance("").running, 1);
  ledger.settle("a", 0);
  ledger.refund("a", "stopped", 1);
  ledger.refund("a", "stopped", 2);
  ledger.refund("a", "stopped", 3);
  EXPECT_EQ(used(), 20);
  EXPECT_EQ(ledger.history("", 100).size(), 8u);
}

TEST_F(LedgerTest, RowsAreOnlyAdded) {
  open().reserve(wish("a", 60));
  SQLite::Database raw(path().string(), SQLite::OPEN_READWRITE);
  EXPECT_THROW(raw.exec("UPDATE entries SET credits = 0"), SQLite::Exception);
  EXPECT_THROW(raw.exec("DELETE FROM entries"), SQLite::Exception);
  EXPECT_EQ(used(), 60);
}

TEST_F(LedgerTest, MonthsBeginAnewAndNothingIsCarriedOver) {
  Ledger ledger = open();
  ledger.reserve(wish("november", 10));
  ledger.settle("november");
  ledger.reserve(wish("late", 50));
  now_s = kDecember_s;
  EXPECT_EQ(ledger.balance("").month, "2026-12");
  EXPECT_EQ(ledger.reserve(wish("too much", 101)), Ledger::Answer::TooFew)
      << "90 of November are gone";
  EXPECT_EQ(ledger.reserve(wish("all", 100)), Ledger::Answer::Reserved);
  ledger.refund("late", "it failed");
  EXPECT_EQ(ledger.balance("").used, 100) << "November's refund is November's";
}

TEST_F(LedgerTest, AClockThatGoesBackGivesNothing) {
  Ledger ledger = open();
  now_s = kDecember_s;
  ledger.reserve(wish("a", 100));
  ledger.settle("a");
  now_s = kNovember_s;
  EXPECT_EQ(ledger.balance("").month, "2026-12");
  EXPECT_EQ(ledger.reserve(wish("b", 1)), Ledger::Answer::TooFew);
}

TEST_F(LedgerTest, AccountsArePursesOfTheirOwn) {
  Ledger ledger = open();
  ledger.reserve(wish("a", 100));
  Ledger::Wish ann = wish("b", 100);
  ann.account = "ann";
  EXPECT_EQ(ledger.reserve(ann), Ledger::Answer::Reserved);
  EXPECT_EQ(ledger.history("ann", 10).size(), 1u);
}

TEST_F(LedgerTest, NoMoreWorksAtATimeThanAllowed) {
  Ledger ledger = open();
  Ledger::Wish two = wish("a", 1, 100, 2);
  two.max_running = 1;
  EXPECT_EQ(ledger.reserve(two), Ledger::Answer::Reserved);
  two.work = "b";
  EXPECT_EQ(ledger.reserve(two), Ledger::Answer::Busy);
  ledger.settle("a");
  EXPECT_EQ(ledger.reserve(two), Ledger::Answer::Reserved);
}

TEST_F(LedgerTest, WhatAKilledProcessHeldComesBack) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t holder = start([&] {
    Ledger ledger(path(), [] { return kNovember_s; });
    ledger.reserve(wish("a", 70, 100));
    (void)!write(ready[1], "x", 1);
    pause();
  });
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_EQ(used(), 70) << "while it lives, it holds them";
  kill(holder, SIGKILL);
  wait_for(holder);
  EXPECT_EQ(used(), 0);
  EXPECT_EQ(open().reserve(wish("b", 100)), Ledger::Answer::Reserved);
}

TEST_F(LedgerTest, ManyProcessesNeverSpendTheSameCredit) {
  constexpr int kProcesses = 16;
  constexpr int kTries = 40;
  constexpr int64_t kAllowance = 1000;
  constexpr int64_t kPrice = 7;
  Ledger(path()).balance("");
  std::vector<pid_t> processes;
  for (int process = 0; process < kProcesses; ++process) {
    processes.push_back(start([&, process] {
      Ledger ledger(path());
      for (int number = 0; number < kTries; ++number) {
        const std::string work = std::to_string(process) + "." + std::to_string(number);
        if (ledger.reserve(wish(work, kPrice, kAllowance)) != Ledger::Answer::Reserved) continue;
        if (number % 5 == 2 && process % 4 == 0) raise(SIGKILL);  // with its reservation open
        if (number % 5 == 1) {
          ledger.refund(work, "it failed");
        } else {
          ledger.settle(work);
        }
      }
    }));
  }
  for (const pid_t pid : processes) wait_for(pid);
  Ledger ledger(path());
  const Balance end = ledger.balance("");
  EXPECT_EQ(end.reserved, 0);
  EXPECT_EQ(end.running, 0);
  int64_t settled = 0;
  int64_t most = 0;
  int64_t sum = 0;
  std::vector<LedgerEntry> rows = ledger.history("", 1'000'000);
  for (auto row = rows.rbegin(); row != rows.rend(); ++row) {
    sum -= row->credits;
    most = std::max(most, sum);
    if (row->kind == "settle") ++settled;
  }
  EXPECT_LE(most, kAllowance) << "at no time more than there is";
  EXPECT_EQ(end.used, settled * kPrice) << "what is gone is what was made";
  EXPECT_GT(settled, kAllowance / kPrice / 2) << "640 tries are far more than 142 clips";
}

}  // namespace
}  // namespace sora
