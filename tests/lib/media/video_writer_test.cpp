// Every format, judged by the ffmpeg and ffprobe programs.
#include "lib/media/video_writer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <time.h>

#include <cmath>
#include <filesystem>
#include <fstream>

#include "lib/core/error.h"
#include "lib/media/video_format.h"
#include "lib/media/video_reader.h"
#include "tests/lib/media/expect_error.h"
#include "tests/lib/media/ffmpeg_judge.h"

namespace sora {
namespace {

using judge::TemporaryFolder;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

struct Written {
  std::vector<std::string> paths, notices;
};

Written write(const at::Tensor& frames, WriterOptions options) {
  options.height = frames.size(1);
  options.width = frames.size(2);
  options.expected_frames = frames.size(0);
  if (options.fps == Rational()) options.fps = Rational(16);
  VideoWriter writer(options);
  // In uneven chunks, as a decoder gives them.
  for (int64_t start = 0, size = 1; start < frames.size(0); start += size, size = 4) {
    writer.write(frames.slice(0, start, std::min(start + size, frames.size(0))));
  }
  writer.finish();
  return {writer.paths(), writer.notices()};
}

struct FormatCase {
  std::string extension, codec;  // asked for
  std::string codec_found, pixel_format;
  bool even_sides;
};
void PrintTo(const FormatCase& format, std::ostream* stream) {
  *stream << format.extension << " " << format.codec_found;
}

// How the case is called in the test's name.
std::string name_of(const ::testing::TestParamInfo<FormatCase>& info) {
  return info.param.extension + "_" + info.param.codec_found;
}

class VideoFormats : public ::testing::TestWithParam<FormatCase> {};

TEST_P(VideoFormats, HoldTheExactFramesAtTheExactRate) {
  const FormatCase& format = GetParam();
  const TemporaryFolder folder;
  struct Shape {
    int64_t frames, height, width;
    Rational fps;
  };
  for (const Shape& shape : {Shape{1, 64, 96, 16}, Shape{5, 49, 67, {30000, 1001}},
                             Shape{33, 64, 96, 24}, Shape{81, 34, 51, 16}}) {
    SCOPED_TRACE(fmt::format("{} frames of {}x{}", shape.frames, shape.width, shape.height));
    const std::string path = folder / fmt::format("{}.{}", shape.frames, format.extension);
    const Written written = write(judge::test_clip(shape.frames, shape.height, shape.width),
                                  {.path = path, .codec = format.codec, .fps = shape.fps});
    EXPECT_THAT(written.paths, ElementsAre(path));
    const judge::StreamFacts facts = judge::ffprobe(path);
    const bool is_animated = format.extension != "apng" || shape.frames > 1;  // one frame is a PNG
    EXPECT_EQ(facts.codec, is_animated ? format.codec_found : "png");
    EXPECT_EQ(facts.pixel_format, format.pixel_format);
    EXPECT_EQ(facts.frames, shape.frames);
    const bool padded = format.even_sides && (shape.width % 2 != 0 || shape.height % 2 != 0);
    EXPECT_EQ(facts.width, format.even_sides ? (shape.width + 1) / 2 * 2 : shape.width);
    EXPECT_EQ(facts.height, format.even_sides ? (shape.height + 1) / 2 * 2 : shape.height);
    if (padded) {
      EXPECT_THAT(written.notices, ElementsAre(HasSubstr("wants even sides")));
    } else {
      EXPECT_THAT(written.notices, IsEmpty());
    }
    // webm and mkv count milliseconds, gif hundredths; of apng ffprobe knows neither rate nor
    // length.
    if (format.extension != "gif" && format.extension != "apng") {
      if (shape.frames > 1) {
        EXPECT_EQ(facts.fps, fmt::format("{}/{}", shape.fps.num, shape.fps.den));
      }
      EXPECT_NEAR(facts.duration_s, double(shape.frames) / shape.fps.value(), 0.001);
    } else if (format.extension == "gif") {
      EXPECT_NEAR(facts.duration_s, double(shape.frames) / shape.fps.value(), 0.0101);
    }
    EXPECT_TRUE(judge::decodes_cleanly(path));
  }
  EXPECT_EQ(folder.entries().size(), 4);
}

INSTANTIATE_TEST_SUITE_P(All, VideoFormats,
                         ::testing::Values(FormatCase{"mp4", "", "h264", "yuv420p", true},
                                           FormatCase{"mp4", "hevc", "hevc", "yuv420p", true},
                                           FormatCase{"mp4", "av1", "av1", "yuv420p", false},
                                           FormatCase{"webm", "", "vp9", "yuv420p", false},
                                           FormatCase{"webm", "av1", "av1", "yuv420p", false},
                                           FormatCase{"mkv", "", "h264", "yuv420p", true},
                                           FormatCase{"mkv", "ffv1", "ffv1", "bgr0", false},
                                           FormatCase{"mov", "", "prores", "yuv422p10le", false},
                                           FormatCase{"gif", "", "gif", "bgra", false},
                                           FormatCase{"apng", "", "apng", "rgb24", false},
                                           FormatCase{"y4m", "", "rawvideo", "yuv444p", false}),
                         name_of);

// ---- colour

int64_t largest(const at::Tensor& difference) { return difference.abs().max().item<int64_t>(); }

struct ColorCase {
  std::string extension, codec;
  int flat_tolerance;  // on the inside of the bars
  int ramp_tolerance;  // along the grey ramp
  std::string space, range;
  std::string assumed_matrix;
};
void PrintTo(const ColorCase& color, std::ostream* stream) {
  *stream << color.extension << " " << color.codec;
}

class Colors : public ::testing::TestWithParam<ColorCase> {};

TEST_P(Colors, AreWhatTheFramesHeld) {
  const ColorCase& color = GetParam();
  const TemporaryFolder folder;
  const std::string path = folder / ("bars." + color.extension);
  const int64_t height = 96, width = 256;
  const at::Tensor bars = judge::color_bars(5, height, width);
  write(bars, {.path = path, .codec = color.codec});
  const at::Tensor difference =
      judge::decode(path, color.assumed_matrix).to(at::kInt) - bars.to(at::kInt);
  ASSERT_EQ(difference.size(0), 5);
  for (int64_t bar = 0; bar < 8; ++bar) {
    const at::Tensor inside = difference.narrow(1, 8, height / 2 - 16).narrow(2, bar * 32 + 8, 16);
    EXPECT_LE(largest(inside), color.flat_tolerance) << "bar " << bar;
  }
  EXPECT_LE(largest(difference.narrow(1, height / 2 + 8, height / 2 - 8)), color.ramp_tolerance);
  const judge::StreamFacts facts = judge::ffprobe(path);
  EXPECT_EQ(facts.space, color.space);
  EXPECT_EQ(facts.range, color.range);
  if (color.space == "bt709") {
    EXPECT_EQ(facts.transfer, "bt709");
    EXPECT_EQ(facts.primaries, "bt709");
  }
}

INSTANTIATE_TEST_SUITE_P(All, Colors,
                         ::testing::Values(ColorCase{"mp4", "h264", 4, 4, "bt709", "tv", ""},
                                           ColorCase{"mp4", "hevc", 4, 4, "bt709", "tv", ""},
                                           ColorCase{"mp4", "av1", 4, 4, "bt709", "tv", ""},
                                           ColorCase{"webm", "vp9", 4, 4, "bt709", "tv", ""},
                                           ColorCase{"webm", "av1", 4, 4, "bt709", "tv", ""},
                                           ColorCase{"mov", "prores", 2, 2, "bt709", "tv", ""},
                                           ColorCase{"mov", "h264", 4, 4, "bt709", "tv", ""},
                                           ColorCase{"mkv", "vp9", 4, 4, "bt709", "tv", ""},
                                           ColorCase{"mkv", "ffv1", 0, 0, "gbr", "pc", ""},
                                           ColorCase{"gif", "", 4, 4, "", "", ""},
                                           ColorCase{"apng", "", 0, 0, "", "pc", ""},
                                           ColorCase{"y4m", "", 2, 2, "", "tv", "170m"}),
                         [](const auto& info) {
                           return info.param.extension + "_" + info.param.codec;
                         });

TEST(VideoWriter, WritesLargeY4mInTheMatrixOfLargePictures) {
  const TemporaryFolder folder;
  const at::Tensor bars = judge::color_bars(1, 64, 1280);
  write(bars, {.path = folder / "bars.y4m"});
  EXPECT_LE(largest(judge::decode(folder / "bars.y4m", "709").to(at::kInt) - bars.to(at::kInt)), 2);
}

// ---- containers

TEST(VideoWriter, PutsTheIndexOfMp4BeforeTheFrames) {
  const TemporaryFolder folder;
  for (const std::string name : {"clip.mp4", "clip.mov"}) {
    write(judge::test_clip(9, 32, 48), {.path = folder / name});
    const std::string bytes = judge::file_bytes(folder / name);
    EXPECT_LT(bytes.find("moov"), bytes.find("mdat")) << name;
  }
}

TEST(VideoWriter, TagsHevcAsApplePlayersWantIt) {
  const TemporaryFolder folder;
  write(judge::test_clip(3, 32, 48), {.path = folder / "clip.mp4", .codec = "hevc"});
  EXPECT_EQ(judge::ffprobe(folder / "clip.mp4").tag, "hvc1");
}

TEST(VideoWriter, WritesASequenceOfExactPngFiles) {
  const TemporaryFolder folder;
  const at::Tensor frames = judge::test_clip(12, 33, 47);
  const Written written = write(frames, {.path = folder / "frames/%03d.png"});
  EXPECT_THAT(written.paths, ElementsAre(folder / "frames/001.png"));
  const auto entries = folder.entries();
  ASSERT_EQ(entries.size(), 13);  // with the folder
  EXPECT_EQ(entries.back(), "frames/012.png");
  for (int64_t f = 0; f < 12; ++f) {
    const at::Tensor decoded = judge::decode(folder / entries[static_cast<size_t>(f + 1)]);
    EXPECT_TRUE(decoded[0].equal(frames[f])) << f;
  }
}

TEST(VideoWriter, WritesOneFrameUnderAPlainPngName) {
  const TemporaryFolder folder;
  const at::Tensor frames = judge::test_clip(1, 16, 24);
  write(frames, {.path = folder / "frame.png"});
  EXPECT_TRUE(judge::decode(folder / "frame.png").equal(frames));
  EXPECT_THAT(folder.entries(), ElementsAre("frame.png"));
}

// FFmpeg 5 writes animated WebP and cannot read it: the chunks are counted by Google's own
// description of the format, and the picture is looked at by Pillow in scripts/reference.
TEST(VideoWriter, WritesAnimatedWebpOfTheExactLength) {
  const TemporaryFolder folder;
  for (const int64_t count : {1, 5, 33}) {
    const std::string path = folder / fmt::format("{}.webp", count);
    write(judge::test_clip(count, 35, 51), {.path = path, .fps = Rational(24)});
    const std::string bytes = judge::file_bytes(path);
    EXPECT_EQ(bytes.substr(0, 4), "RIFF");
    int64_t frames = 0, duration_ms = 0;
    const auto number = [&](size_t position, int size) {
      int64_t value = 0;
      for (int i = size - 1; i >= 0; --i)
        value = value << 8 | static_cast<uint8_t>(bytes[position + static_cast<size_t>(i)]);
      return value;
    };
    for (size_t position = 12; position + 8 <= bytes.size();) {
      if (bytes.substr(position, 4) == "ANMF") {
        ++frames;
        duration_ms += number(position + 20, 3);
      }
      position += 8 + static_cast<size_t>(number(position + 4, 4) + 1) / 2 * 2;
    }
    if (count == 1) {
      EXPECT_LE(frames, 1);  // a still picture needs no frame chunk
      continue;
    }
    EXPECT_EQ(frames, count);
    // The last frame's length is the mean of the others', in whole milliseconds.
    EXPECT_NEAR(double(duration_ms), double(count) * 1000 / 24, 2) << count;
  }
}

TEST(VideoWriter, ThinsOutWhatAGifCannotShow) {
  const TemporaryFolder folder;
  const Written written =
      write(judge::test_clip(12, 32, 48), {.path = folder / "fast.gif", .fps = Rational(60)});
  EXPECT_THAT(written.notices, ElementsAre(HasSubstr("at most 50 frames a second")));
  const judge::StreamFacts facts = judge::ffprobe(folder / "fast.gif");
  EXPECT_EQ(facts.frames, 6);
  EXPECT_NEAR(facts.duration_s, 0.2, 0.011);
}

// ---- the manifest

TEST(Manifest, IsReadBackFromEveryContainerOrItsSideFile) {
  const TemporaryFolder folder;
  for (const size_t size : {1'000, 100'000, 1'000'000}) {
    nlohmann::json manifest = {{"prompt", "a \"quoted\" ball \\ ; = # \n 红球 🎾 \u0001"}};
    for (int i = 0; manifest.dump().size() < size; ++i) {
      manifest["filler"][fmt::format("key {}", i)] =
          std::string(std::min<size_t>(size / 20 + 1, 500), 'x') + "é漢";
      if (i % 50 == 49 && manifest.dump().size() >= size) break;
    }
    const std::string text = manifest.dump();
    for (const std::string extension :
         {"mp4", "mkv", "webm", "mov", "gif", "webp", "apng", "y4m"}) {
      SCOPED_TRACE(fmt::format("{} bytes in {}", text.size(), extension));
      const std::string name = fmt::format("clip{}.{}", size, extension);
      const bool inside =
          extension == "mp4" || extension == "mkv" || extension == "webm" || extension == "mov";
      const Written written =
          write(judge::test_clip(2, 32, 48), {.path = folder / name, .metadata_json = text});
      const FileInfo info = probe(folder / name);
      EXPECT_TRUE(info.metadata_json == text);
      EXPECT_EQ(info.metadata_path, folder / (inside ? name : name + ".json"));
      EXPECT_EQ(written.paths.size(), inside ? 1 : 2);
      if (inside) {
        EXPECT_TRUE(judge::decodes_cleanly(folder / name));
      }
    }
  }
}

TEST(Manifest, OfASequenceStandsBesideItsFirstFrame) {
  const TemporaryFolder folder;
  const Written written = write(judge::test_clip(3, 16, 16),
                                {.path = folder / "f/%04d.png", .metadata_json = "{\"seed\":1}"});
  EXPECT_THAT(written.paths, ElementsAre(folder / "f/0001.png", folder / "f/0001.png.json"));
  EXPECT_EQ(judge::file_bytes(folder / "f/0001.png.json"), "{\"seed\":1}");
  EXPECT_EQ(probe(folder / "f/0001.png").metadata_json, "{\"seed\":1}");
  EXPECT_EQ(probe(folder / "f/%04d.png").metadata_json, "{\"seed\":1}");
  expect_error(ErrorKind::NotFound, "g/0001.png", [&] { probe(folder / "g/%04d.png"); });
}

TEST(Manifest, ALongTitleIsCutBetweenCharacters) {
  const TemporaryFolder folder;
  WriterOptions options{.path = folder / "clip.mp4"};
  options.title = "a";
  for (int i = 0; i < 100; ++i) *options.title += "球";
  write(judge::test_clip(2, 32, 48), options);
  const auto json = nlohmann::json::parse(
      judge::run("ffprobe -v error -of json -show_format " + (folder / "clip.mp4")).output);
  EXPECT_EQ(json["format"]["tags"]["title"], options.title->substr(0, 1 + 66 * 3));
}

TEST(Manifest, StandsBesideTheTitle) {
  const TemporaryFolder folder;
  WriterOptions options{.path = folder / "clip.mp4", .metadata_json = "{}"};
  options.title = "a red ball";
  write(judge::test_clip(2, 32, 48), options);
  const auto json = nlohmann::json::parse(
      judge::run("ffprobe -v error -of json -show_format " + (folder / "clip.mp4")).output);
  EXPECT_EQ(json["format"]["tags"]["title"], "a red ball");
  EXPECT_EQ(json["format"]["tags"]["comment"], "{}");
}

// ---- the same bytes

double cpu_seconds(clockid_t clock) {
  timespec time = {};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

TEST(VideoWriter, ConvertsAndEncodesOnThreadsOfItsOwnWhileTheCallerDecodes) {
  const TemporaryFolder folder;
  const at::Tensor frames = at::randint(0, 256, {4, 480, 640, 3}, at::kByte);
  for (const std::string name : {"clip.mp4", "clip.mkv", "clip.y4m"}) {
    WriterOptions options{.path = folder / name, .width = 640, .height = 480, .fps = Rational(16)};
    if (name == "clip.mkv") options.codec = "ffv1";
    VideoWriter writer(options);
    const double own_before = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
    const double all_before = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
    for (int chunk = 0; chunk < 4; ++chunk) writer.write(frames);
    writer.finish();
    const double own = cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - own_before;
    const double all = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - all_before;
    EXPECT_LT(own, 0.2 * all) << name;
  }
}

TEST(VideoWriter, GivesTheSameBytesWhateverMemoryHeldBefore) {
  const TemporaryFolder folder;
  struct Output {
    std::string extension, codec;
  };
  for (const auto& [height, width] : {std::pair<int64_t, int64_t>{96, 160}, {180, 320}}) {
    const at::Tensor frames = judge::test_clip(24, height, width);
    for (const Output& output : {Output{"mp4", "h264"},
                                 {"mp4", "hevc"},
                                 {"mp4", "av1"},
                                 {"webm", "vp9"},
                                 {"webm", "av1"},
                                 {"mkv", "ffv1"},
                                 {"mov", "prores"},
                                 {"gif", ""},
                                 {"webp", ""},
                                 {"apng", ""},
                                 {"y4m", ""}}) {
      std::string first;
      for (const int fill : {0, 85, 170}) {
        ::mallopt(M_PERTURB, fill);
        WriterOptions options{.path = folder / ("clip." + output.extension), .codec = output.codec};
        options.metadata_json = "{\"seed\":1}";
        options.force = true;
        write(frames, options);
        const std::string bytes = judge::file_bytes(options.path);
        if (fill == 0) first = bytes;
        EXPECT_TRUE(bytes == first) << output.extension << " " << output.codec << " " << width;
      }
      ::mallopt(M_PERTURB, 0);
    }
  }
}

// ---- what cannot be written

WriterOptions small(const std::string& path) {
  return {.path = path, .width = 48, .height = 32, .fps = Rational(16)};
}

TEST(Refusals, ComeBeforeAnyWork) {
  const TemporaryFolder folder;
  const auto open = [](const WriterOptions& options) {
    return [options] { VideoWriter writer(options); };
  };
  expect_error(ErrorKind::Usage, ".mp4, .webm", open(small(folder / "clip.xyz")));
  expect_error(ErrorKind::Usage, "no extension", open(small(folder / "clip")));
  WriterOptions options = small(folder / "clip.webm");
  options.codec = "h264";
  expect_error(ErrorKind::Usage, "vp9, av1, not h264", open(options));
  options.codec = "h265";
  expect_error(ErrorKind::Usage, "choose one of h264", open(options));
  options = small(folder / "clip.mkv");
  options.codec = "ffv1";
  options.quality = 3;
  expect_error(ErrorKind::Usage, "no quality scale", open(options));
  options = small(folder / "clip.mp4");
  options.quality = 99;
  expect_error(ErrorKind::Usage, "from 0 to 51", open(options));
  options = small(folder / "clip.mp4");
  options.width = 0;
  expect_error(ErrorKind::Usage, "0x32", open(options));
  options = small(folder / "clip.mp4");
  options.fps = Rational(0);
  expect_error(ErrorKind::Usage, "frames a second", open(options));
  expect_error(ErrorKind::NotFound, "does not exist", open(small(folder / "no/such/clip.mp4")));
  expect_error(ErrorKind::NotFound, "does not exist", open(small(folder / "no/such/%05d.png")));
  std::filesystem::create_directory(folder / "dir.mp4");
  expect_error(ErrorKind::Usage, "is a folder", open(small(folder / "dir.mp4")));
  options = small(folder / "frame.png");
  options.expected_frames = 2;
  expect_error(ErrorKind::Usage, "%05d", open(options));
  expect_error(ErrorKind::Usage, "%05d", open(small(folder / "%d-%d.png")));
  EXPECT_THAT(folder.entries(), ElementsAre("dir.mp4"));
}

TEST(Refusals, KeepExistingFilesUnlessForced) {
  const TemporaryFolder folder;
  for (const std::string name : {"clip.mp4", "clip.gif", "frames/%05d.png"}) {
    const std::string path = folder / name;
    const std::string first = name == "frames/%05d.png" ? folder / "frames/00001.png" : path;
    std::filesystem::create_directories(folder / "frames");
    std::ofstream(first) << "precious";
    expect_error(ErrorKind::Usage, "exists already", [&] { VideoWriter writer(small(path)); });
    EXPECT_EQ(judge::file_bytes(first), "precious");
    WriterOptions options{.path = path};
    options.force = true;
    write(judge::test_clip(2, 32, 48), options);
    EXPECT_NE(judge::file_bytes(first), "precious");
  }
  std::ofstream(folder / "new.gif.json") << "precious";
  WriterOptions options = small(folder / "new.gif");
  options.metadata_json = "{}";
  expect_error(ErrorKind::Usage, "new.gif.json exists already",
               [&] { VideoWriter writer(options); });
}

TEST(Refusals, AForcedSequenceReplacesTheWholeOldOne) {
  const TemporaryFolder folder;
  write(judge::test_clip(9, 32, 48), {.path = folder / "f/%d.png"});
  std::ofstream(folder / "f/11.png") << "not of the sequence";
  WriterOptions options{.path = folder / "f/%d.png"};
  options.force = true;
  write(judge::test_clip(2, 32, 48), options);
  EXPECT_THAT(folder.entries(), ElementsAre("f", "f/1.png", "f/11.png", "f/2.png"));
}

TEST(Refusals, AFileThatAppearsMeanwhileIsNotReplaced) {
  const TemporaryFolder folder;
  VideoWriter writer(small(folder / "clip.mp4"));
  writer.write(judge::test_clip(2, 32, 48));
  std::ofstream(folder / "clip.mp4") << "precious";
  expect_error(ErrorKind::Usage, "come to exist", [&] { writer.finish(); });
  EXPECT_EQ(judge::file_bytes(folder / "clip.mp4"), "precious");
}

TEST(Refusals, AnAbandonedWriterLeavesNothing) {
  const TemporaryFolder folder;
  for (const std::string name : {"clip.mp4", "clip.gif", "clip.webm", "frames/%05d.png"}) {
    VideoWriter writer(small(folder / name));
    writer.write(judge::test_clip(20, 32, 48));
  }
  EXPECT_THAT(folder.entries(), IsEmpty());
}

TEST(Refusals, WritesThroughALinkWhenForced) {
  const TemporaryFolder folder;
  std::ofstream(folder / "target.mp4") << "old";
  std::filesystem::create_symlink("target.mp4", folder / "link.mp4");
  expect_error(ErrorKind::Usage, "as a link",
               [&] { VideoWriter writer(small(folder / "link.mp4")); });
  WriterOptions options{.path = folder / "link.mp4"};
  options.force = true;
  write(judge::test_clip(2, 32, 48), options);
  EXPECT_TRUE(std::filesystem::is_symlink(folder / "link.mp4"));
  EXPECT_EQ(judge::ffprobe(folder / "target.mp4").frames, 2);
}

}  // namespace
}  // namespace sora
