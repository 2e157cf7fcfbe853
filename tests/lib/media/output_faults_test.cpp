// Full disks, closed pipes, folders that cannot be written: one clear error, nothing left behind.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mount.h>
#include <unistd.h>

#include <filesystem>

#include "lib/core/error.h"
#include "lib/media/video_writer.h"
#include "tests/lib/media/expect_error.h"
#include "tests/lib/media/ffmpeg_judge.h"

namespace sora {
namespace {

using judge::TemporaryFolder;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

template <typename Call>
void expect_io_error(const std::string& part, Call&& call) {
  expect_error(ErrorKind::Io, part, call);
}

void write_noise(const std::string& path, const std::string& codec = "",
                 int64_t expected_frames = 0) {
  WriterOptions options{
      .path = path, .codec = codec, .width = 128, .height = 96, .fps = Rational(16)};
  options.expected_frames = expected_frames;
  VideoWriter writer(options);
  for (int i = 0; i < 40; ++i) writer.write(at::randint(0, 256, {2, 96, 128, 3}, at::kByte));
  writer.finish();
}

// A disk of 256 kB. Needs the right to mount.
class FullDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    if (::mount("none", folder_.path().c_str(), "tmpfs", 0, "size=256k") != 0) {
      GTEST_SKIP() << "no right to mount a small disk here";
    }
    mounted_ = true;
  }
  void TearDown() override {
    if (mounted_) ::umount(folder_.path().c_str());
  }
  TemporaryFolder folder_;
  bool mounted_ = false;
};

TEST_F(FullDisk, IsAnErrorThatLeavesNothing) {
  for (const auto& [name, codec] : {std::pair{"clip.mp4", ""},
                                    {"clip.webm", ""},
                                    {"clip.mkv", "ffv1"},
                                    {"clip.mov", ""},
                                    {"clip.gif", ""},
                                    {"clip.apng", ""},
                                    {"clip.y4m", ""},
                                    {"f/%05d.png", ""}}) {
    SCOPED_TRACE(name);
    expect_io_error("No space left", [&, name = name, codec = codec] {
      try {
        write_noise(folder_ / name, codec);
      } catch (const Error& error) {
        // Both say it, in words for a file and for a store of frames.
        if (std::string(error.what()).find("disk is full") != std::string::npos)
          fail(ErrorKind::Io, "No space left");
        throw;
      }
    });
    EXPECT_THAT(folder_.entries(), IsEmpty());
  }
}

TEST_F(FullDisk, IsForeseenWhereTheFormatHasAKnownSize) {
  expect_io_error("kB free and the clip needs at least 2.9 MB",
                  [&] { write_noise(folder_ / "clip.y4m", "", 80); });
}

// Runs with another file as stdout.
template <typename Function>
void with_stdout(int fd, Function&& function) {
  std::fflush(stdout);
  const int saved = ::dup(1);
  ::dup2(fd, 1);
  function();
  ::dup2(saved, 1);
  ::close(saved);
}

TEST(Stdout, CarriesTheSameY4mAsAFile) {
  const TemporaryFolder folder;
  const at::Tensor frames = judge::test_clip(5, 33, 47);
  const auto write = [&](const std::string& path) {
    VideoWriter writer({.path = path, .width = 47, .height = 33, .fps = Rational(24)});
    writer.write(frames);
    writer.finish();
  };
  write(folder / "file.y4m");
  const int fd = ::open((folder / "stdout.y4m").c_str(), O_CREAT | O_WRONLY, 0600);
  with_stdout(fd, [&] { write("-"); });
  ::close(fd);
  EXPECT_TRUE(judge::file_bytes(folder / "file.y4m") == judge::file_bytes(folder / "stdout.y4m"));
}

TEST(Stdout, AClosedPipeIsAnErrorNotADeath) {
  ::signal(SIGPIPE, SIG_IGN);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::close(ends[0]);
  with_stdout(ends[1], [] { expect_io_error("closed by its reader", [] { write_noise("-"); }); });
  ::close(ends[1]);
}

TEST(Stdout, AFullDeviceIsAnError) {
  const int fd = ::open("/dev/full", O_WRONLY);
  ASSERT_GE(fd, 0);
  with_stdout(fd, [] { expect_io_error("disk is full", [] { write_noise("-"); }); });
  ::close(fd);
}

TEST(UnwritableFolder, FailsBeforeAnyWork) {
  // Not even root creates files in sysfs.
  expect_io_error("cannot be written", [] {
    VideoWriter writer({.path = "/sys/clip.mp4", .width = 16, .height = 16, .fps = 16});
  });
  expect_io_error("cannot be written", [] {
    VideoWriter writer({.path = "/sys/%05d.png", .width = 16, .height = 16, .fps = 16});
  });
  expect_io_error("cannot be written", [] {
    WriterOptions options{.path = "/proc/clip.mp4", .width = 16, .height = 16, .fps = 16};
    options.expected_frames = 17;
    VideoWriter writer(options);
  });
  EXPECT_THROW(VideoWriter({.path = "/dev/null/clip.mp4", .width = 16, .height = 16, .fps = 16}),
               Error);
}

}  // namespace
}  // namespace sora
