// Every format, judged by the ffmpeg and ffprobe programs.
#include "lib/media/video_writer.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "lib/core/error.h"
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
    if (format.extension != "apng" || shape.frames > 1) EXPECT_EQ(facts.codec, format.codec_found);
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

}  // namespace
}  // namespace sora
