// What probe() says, against ffprobe.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "lib/core/error.h"
#include "lib/media/video_reader.h"
#include "lib/media/video_writer.h"
#include "tests/lib/media/expect_error.h"
#include "tests/lib/media/ffmpeg_judge.h"

namespace sora {
namespace {

using judge::TemporaryFolder;

void write(const std::string& path, const std::string& codec, int64_t frames, Rational fps) {
  VideoWriter writer({.path = path,
                      .codec = codec,
                      .width = 68,
                      .height = 50,
                      .fps = fps,
                      .metadata_json = "{\"seed\":7}"});
  writer.write(judge::test_clip(frames, 50, 68));
  writer.finish();
}

TEST(FileInfo, SaysWhatFfprobeSays) {
  const TemporaryFolder folder;
  for (const auto& [name, codec] : {std::pair{"a.mp4", ""},
                                    {"b.mp4", "hevc"},
                                    {"c.mkv", "ffv1"},
                                    {"d.webm", ""},
                                    {"e.mov", ""},
                                    {"f.gif", ""},
                                    {"g.y4m", ""}}) {
    SCOPED_TRACE(name);
    write(folder / name, codec, 12, Rational(24));
    const FileInfo info = probe(folder / name);
    const judge::StreamFacts facts = judge::ffprobe(folder / name);
    EXPECT_EQ(info.codec, facts.codec);
    EXPECT_EQ(info.pixel_format, facts.pixel_format);
    EXPECT_EQ(info.width, facts.width);
    EXPECT_EQ(info.height, facts.height);
    EXPECT_EQ(info.num_frames, facts.frames);
    EXPECT_NEAR(info.duration_s, facts.duration_s, 0.002);
    EXPECT_EQ(info.color_space, facts.space.empty() ? "unknown" : facts.space);
    EXPECT_EQ(info.size_bytes, static_cast<int64_t>(judge::file_bytes(folder / name).size()));
    const nlohmann::json json = to_json(info);
    EXPECT_EQ(json["metadata"]["seed"], 7);
    if (std::string(name) != "f.gif") {
      EXPECT_EQ(json["fps"], "24");
    }
  }
}

TEST(FileInfo, TimeStampsInMillisecondsKeepTheRate) {
  const TemporaryFolder folder;
  for (const char* rate : {"60", "30000/1001", "24000/1001", "24", "48"}) {
    SCOPED_TRACE(rate);
    const std::string first = folder / "clip.mkv", copy = folder / "clip.mp4";
    judge::ffmpeg(fmt::format(
        "-y -f lavfi -i testsrc2=size=64x48:rate={} -frames:v 48 -c:v libx264 {}", rate, first));
    judge::ffmpeg(fmt::format("-y -i {} -c copy {}", first, copy));
    EXPECT_EQ(to_string(probe(first).fps), to_string(parse_rational(rate)));
    EXPECT_EQ(to_string(probe(copy).fps), to_string(parse_rational(rate)));
  }
}

TEST(FileInfo, LengthIsThatOfThePicturesWhereSoundIsLonger) {
  const TemporaryFolder folder;
  judge::ffmpeg(
      "-f lavfi -i testsrc2=size=64x48:rate=16:duration=1 -f lavfi -i sine=duration=70 "
      "-c:v libx264 -c:a aac " +
      (folder / "long.mkv"));
  const FileInfo info = probe(folder / "long.mkv");
  EXPECT_EQ(info.num_frames, 16);
  EXPECT_NEAR(info.duration_s, 1, 0.01);
}

TEST(FileInfo, KnowsAnimatedWebp) {
  const TemporaryFolder folder;
  write(folder / "clip.webp", "", 12, Rational(20));
  const FileInfo info = probe(folder / "clip.webp");
  EXPECT_EQ(info.codec, "webp");
  EXPECT_EQ(info.width, 68);
  EXPECT_EQ(info.height, 50);
  EXPECT_EQ(info.num_frames, 12);
  EXPECT_NEAR(info.duration_s, 0.6, 0.002);
  EXPECT_EQ(info.fps, Rational(20));
  EXPECT_EQ(info.metadata_json, "{\"seed\":7}");
  const std::string bytes = judge::file_bytes(folder / "clip.webp");
  std::ofstream(folder / "cut.webp", std::ios::binary) << bytes.substr(0, bytes.size() - 30);
  EXPECT_THROW(probe(folder / "cut.webp"), Error);
  std::ofstream(folder / "followed.webp", std::ios::binary) << bytes << "a note that is no chunk\n";
  EXPECT_EQ(probe(folder / "followed.webp").num_frames, 12);
}

TEST(FileInfo, CountsNoFramesThatAnEditListHides) {
  const TemporaryFolder folder;
  judge::ffmpeg("-f lavfi -i testsrc2=size=64x48:rate=25:duration=2 -c:v libx264 -g 50 " +
                (folder / "whole.mp4"));
  judge::ffmpeg("-ss 0.7 -i " + (folder / "whole.mp4") + " -c copy " + (folder / "part.mp4"));
  const FileInfo info = probe(folder / "part.mp4");
  EXPECT_EQ(info.num_frames, judge::ffprobe(folder / "part.mp4").frames);
  EXPECT_LT(info.num_frames, 40);
  EXPECT_NEAR(info.duration_s, double(info.num_frames) / 25, 0.021);
}

TEST(FileInfo, APercentSignMakesNoSequence) {
  const TemporaryFolder folder;
  expect_error(ErrorKind::NotFound, "50% off.png", [&] { probe(folder / "50% off.png"); });
  EXPECT_EQ(first_file("50% off.png"), "50% off.png");
  EXPECT_EQ(first_file(folder / "%03d.png"), folder / "001.png");
}

TEST(FileInfo, CountsSoundAndTakesOnlyJsonForAManifest) {
  const TemporaryFolder folder;
  const auto made = judge::run(
      "ffmpeg -v error -f lavfi -i testsrc2=size=64x48:rate=8:duration=1 -f lavfi -i "
      "sine=duration=1 "
      "-metadata comment='not a manifest' -metadata title='A title' -c:v libx264 -c:a aac " +
      (folder / "sound.mp4"));
  ASSERT_EQ(made.status, 0);
  const FileInfo info = probe(folder / "sound.mp4");
  EXPECT_EQ(info.num_audio_streams, 1);
  EXPECT_EQ(info.title, "A title");
  EXPECT_EQ(info.metadata_json, "");
  EXPECT_FALSE(to_json(info).contains("metadata"));
}

}  // namespace
}  // namespace sora
