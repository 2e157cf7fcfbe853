#include "lib/core/file_lock.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <mutex>
#include <utility>

#include "lib/core/error.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

class Stopping : public Observer {
 public:
  bool stop_requested() const override { return true; }
};

TEST(FileLock, LocksAnotherOutWhileItIsHeld) {
  const ScratchDirectory scratch;
  FileLock one(scratch / "lock"), other(scratch / "lock");
  {
    const std::lock_guard held(one);
    EXPECT_FALSE(other.try_lock());
  }
  EXPECT_TRUE(other.try_lock());
  EXPECT_FALSE(one.try_lock());
}

TEST(FileLock, IsSharedByAllWhoOnlyShareIt) {
  const ScratchDirectory scratch;
  FileLock one(scratch / "lock"), other(scratch / "lock"), third(scratch / "lock");
  one.lock_shared();
  other.lock_shared();
  EXPECT_FALSE(third.try_lock());
}

TEST(FileLock, WaitsUntilTheObserverAsksToStop) {
  const ScratchDirectory scratch;
  FileLock one(scratch / "lock"), other(scratch / "lock");
  one.lock(Stopping());  // nobody holds it: nothing to wait for
  try {
    other.lock(Stopping());
    FAIL() << "two hold it";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Cancelled);
  }
}

TEST(FileLock, MovesWithoutBeingGivenUp) {
  const ScratchDirectory scratch;
  FileLock other(scratch / "lock");
  {
    FileLock one(scratch / "lock");
    one.lock();
    const FileLock moved = std::move(one);
    EXPECT_FALSE(other.try_lock());
  }
  EXPECT_TRUE(other.try_lock());
}

TEST(FileLock, OfAFolderLeavesNothingInIt) {
  const ScratchDirectory scratch;
  FileLock one(scratch.path()), other(scratch.path());
  const std::lock_guard held(one);
  EXPECT_FALSE(other.try_lock());
  EXPECT_TRUE(std::filesystem::is_empty(scratch.path()));
}

TEST(FileLock, OfWhatCannotBeOpenedLocksNobodyOut) {
  const ScratchDirectory scratch;
  FileLock one(scratch / "no folder" / "lock"), other(scratch / "no folder" / "lock");
  one.lock();
  EXPECT_TRUE(other.try_lock());
}

TEST(FileLock, EndsWithItsProcess) {
  const ScratchDirectory scratch;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    FileLock theirs(scratch / "lock");
    theirs.lock();
    const bool told = ::write(ready[1], "x", 1) == 1;
    ::pause();
    ::_exit(told ? 0 : 1);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  FileLock ours(scratch / "lock");
  EXPECT_FALSE(ours.try_lock());
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(ours.try_lock());
  ::close(ready[0]);
  ::close(ready[1]);
}

}  // namespace
}  // namespace sora
