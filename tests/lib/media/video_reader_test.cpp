// The reader against the ffmpeg program's own decoding, and against files that mean harm.
#include "lib/media/video_reader.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <limits>

#include "lib/core/error.h"
#include "lib/media/video_writer.h"
#include "tests/lib/media/expect_error.h"
#include "tests/lib/media/ffmpeg_judge.h"
#include "tests/lib/media/read_clip.h"

namespace sora {
namespace {

using judge::TemporaryFolder;
using ::testing::HasSubstr;

void write(const at::Tensor& frames, const std::string& path, Rational fps,
           std::string codec = "") {
  VideoWriter writer({.path = path,
                      .codec = codec,
                      .width = frames.size(2),
                      .height = frames.size(1),
                      .fps = fps});
  writer.write(frames);
  writer.finish();
}

ReadOptions range(double start_s, double stop_s) {
  ReadOptions options;
  options.start_s = start_s;
  options.stop_s = stop_s;
  return options;
}

TEST(VideoReader, GivesBackLosslessFramesExactly) {
  const TemporaryFolder folder;
  for (const auto& [name, codec] : {std::pair{"clip.mkv", "ffv1"}, {"clip.apng", ""}}) {
    const at::Tensor frames = judge::test_clip(7, 35, 51);
    write(frames, folder / name, Rational(24), codec);
    const Clip clip = read_clip(folder / name);
    EXPECT_EQ(judge::max_difference(clip.frames_FHWC, frames), 0) << name;
    EXPECT_EQ(clip.fps, Rational(24)) << name;
  }
}

TEST(VideoReader, RoundTripsY4mBitForBit) {
  const TemporaryFolder folder;
  for (const int64_t width : {50, 1280}) {  // tells BT.601 from BT.709
    write(judge::test_clip(5, 33, width), folder / "first.y4m", {30000, 1001});
    const Clip clip = read_clip(folder / "first.y4m");
    EXPECT_EQ(clip.fps, Rational(30000, 1001));
    write(clip.frames_FHWC, folder / "second.y4m", clip.fps);
    EXPECT_TRUE(judge::file_bytes(folder / "first.y4m") ==
                judge::file_bytes(folder / "second.y4m"));
    std::filesystem::remove(folder / "first.y4m");
    std::filesystem::remove(folder / "second.y4m");
  }
}

// Every way of laying out pixels, at odd sizes where the format has them, compared with zscale's
// conversion.
struct LayoutCase {
  std::string name, output;  // output options of ffmpeg, the file's extension last
  int tolerance;
};
void PrintTo(const LayoutCase& layout, std::ostream* stream) { *stream << layout.name; }

class PixelLayouts : public ::testing::TestWithParam<LayoutCase> {};

TEST_P(PixelLayouts, ComeOutAsFfmpegShowsThem) {
  const LayoutCase& layout = GetParam();
  const TemporaryFolder folder;
  const std::string path = folder / ("clip." + layout.output.substr(layout.output.rfind(' ') + 1));
  judge::ffmpeg("-f lavfi -i testsrc2=size=72x48:rate=12:duration=0.5 " +
                layout.output.substr(0, layout.output.rfind(' ')) + " " + path);
  const judge::StreamFacts facts = judge::ffprobe(path);
  const bool is_rgb = facts.pixel_format.find("rgb") != std::string::npos ||
                      facts.pixel_format.find("gbr") != std::string::npos ||
                      facts.pixel_format.find("bgr") != std::string::npos ||
                      facts.pixel_format == "pal8";
  const bool tagged = !facts.space.empty() && facts.space != "unknown";
  const at::Tensor expected = judge::decode(path, is_rgb || tagged ? "" : "170m");
  const Clip clip = read_clip(path);
  EXPECT_LE(judge::max_difference(clip.frames_FHWC, expected), layout.tolerance);
}

INSTANTIATE_TEST_SUITE_P(
    All, PixelLayouts,
    ::testing::Values(
        LayoutCase{"yuv420p", "-pix_fmt yuv420p -c:v libx264 mp4", 1},
        LayoutCase{
            "yuv420p_bt709",
            "-vf scale=out_color_matrix=bt709,format=yuv420p -colorspace bt709 -c:v libx264 mp4",
            1},
        LayoutCase{"yuv444p_full", "-pix_fmt yuvj444p -c:v libx264 mkv", 1},
        LayoutCase{"yuv420p10", "-pix_fmt yuv420p10le -c:v libx265 -x265-params log-level=none mkv",
                   1},
        LayoutCase{"yuv422p10", "-pix_fmt yuv422p10le -c:v prores_ks mov", 1},
        LayoutCase{"yuyv422", "-pix_fmt yuyv422 -c:v rawvideo avi", 1},
        LayoutCase{"nv12", "-pix_fmt nv12 -c:v rawvideo nut", 1},
        LayoutCase{"yuv410p", "-pix_fmt yuv410p -c:v ffv1 mkv", 2},
        LayoutCase{"rgb565", "-pix_fmt rgb565le -c:v rawvideo nut", 1},
        LayoutCase{"rgb24", "-pix_fmt rgb24 -c:v rawvideo nut", 0},
        LayoutCase{"gbrp", "-pix_fmt gbrp -c:v ffv1 mkv", 0},
        LayoutCase{"gbrp10", "-pix_fmt gbrp10le -c:v ffv1 mkv", 1},
        LayoutCase{
            "pal8",
            "-filter_complex 'split[a][b];[a]palettegen=reserve_transparent=0[p];[b][p]paletteuse' "
            "-c:v gif gif",
            0}),
    [](const auto& info) { return info.param.name; });

TEST(VideoReader, OddSizesAreThePartOfEvenOnes) {
  const TemporaryFolder folder;
  for (const std::string layout : {"yuv420p", "nv12", "yuv422p10le"}) {
    judge::ffmpeg("-f lavfi -i testsrc2=size=72x48:rate=4:duration=0.5 -c:v rawvideo -pix_fmt " +
                  layout + " " + (folder / "even.nut"));
    judge::ffmpeg("-i " + (folder / "even.nut") + " -vf crop=71:47:0:0:exact=1 -c:v rawvideo " +
                  (folder / "odd.nut"));
    const Clip even = read_clip(folder / "even.nut"), odd = read_clip(folder / "odd.nut");
    EXPECT_EQ(
        judge::max_difference(odd.frames_FHWC, even.frames_FHWC.narrow(1, 0, 47).narrow(2, 0, 71)),
        0)
        << layout;
  }
}

TEST(VideoReader, ReadsGreyAsGrey) {
  const TemporaryFolder folder;
  judge::ffmpeg("-f lavfi -i testsrc=size=33x21:rate=5:duration=0.4 -pix_fmt gray -c:v ffv1 " +
                (folder / "grey.mkv"));
  const auto raw =
      judge::run("ffmpeg -v error -i " + (folder / "grey.mkv") + " -f rawvideo -pix_fmt gray -");
  const Clip clip = read_clip(folder / "grey.mkv");
  const at::Tensor grey =
      at::from_blob(const_cast<char*>(raw.output.data()), {2, 21, 33, 1}, at::kByte)
          .expand({2, 21, 33, 3});
  EXPECT_EQ(judge::max_difference(clip.frames_FHWC, grey), 0);
}

TEST(VideoReader, ShowsTransparencyOverBlack) {
  const TemporaryFolder folder;
  for (const std::string layout : {"rgba", "rgba64le"}) {
    const std::string path = folder / (layout + ".mkv");
    judge::ffmpeg(
        std::string(
            "-f lavfi -i color=0xC86432@0.5:size=16x8:rate=2:duration=1,format=rgba -pix_fmt ") +
        (layout == "rgba" ? "bgra -c:v ffv1 " : "rgba64le -c:v ffv1 ") + path);
    const Clip clip = read_clip(path);
    const at::Tensor pixel = clip.frames_FHWC[0][3][3].to(at::kInt);
    EXPECT_NEAR(pixel[0].item<int>(), 100, 1) << layout;
    EXPECT_NEAR(pixel[1].item<int>(), 50, 1) << layout;
    EXPECT_NEAR(pixel[2].item<int>(), 25, 1) << layout;
  }
}

TEST(VideoReader, TurnsRotatedVideoUpright) {
  const TemporaryFolder folder;
  judge::ffmpeg(
      "-f lavfi -i testsrc2=size=64x48:rate=8:duration=0.5 -pix_fmt yuv444p -c:v libx264 " +
      (folder / "plain.mp4"));
  for (const int angle : {90, 180, 270}) {
    const std::string path = folder / fmt::format("{}.mp4", angle);
    judge::ffmpeg(fmt::format("-i {} -c copy -metadata:s:v:0 rotate={} {}", folder / "plain.mp4",
                              angle, path));
    // ffmpeg turns by itself as it decodes.
    const auto raw = judge::run(
        "ffmpeg -v error -i " + path +
        " -vf zscale=matrixin=170m:rangein=tv:matrix=gbr:range=full,format=gbrp,format=rgb24 -f "
        "rawvideo -");
    const Clip clip = read_clip(path);
    const at::Tensor expected =
        at::from_blob(const_cast<char*>(raw.output.data()), clip.frames_FHWC.sizes(), at::kByte);
    ASSERT_EQ(clip.frames_FHWC.numel(), static_cast<int64_t>(raw.output.size()));
    EXPECT_EQ(clip.width(), angle == 180 ? 64 : 48);
    EXPECT_LE(judge::max_difference(clip.frames_FHWC, expected), 1) << angle;
    EXPECT_EQ(probe(path).rotation, angle == 180 ? 180 : 360 - angle) << "counter-clockwise flag";
  }
}

TEST(VideoReader, MakesPixelsSquare) {
  const TemporaryFolder folder;
  judge::ffmpeg(
      "-f lavfi -i testsrc2=size=72x58:rate=5:duration=0.4 -vf setsar=16/11 -c:v libx264 " +
      (folder / "wide.mp4"));
  const Clip clip = read_clip(folder / "wide.mp4");
  EXPECT_EQ(clip.width(), 105);
  EXPECT_EQ(clip.height(), 58);
  EXPECT_EQ(probe(folder / "wide.mp4").width, 105);
}

TEST(VideoReader, TakesPixelsForSquareThatAScalerLeftNearlySo) {
  const TemporaryFolder folder;
  const struct {
    int width, height;
    const char* aspect;
  } cases[] = {
      {426, 240, "640/639"}, {854, 480, "1280/1281"}, {480, 288, "451/452"}, {480, 288, "319/320"}};
  for (const auto& [width, height, aspect] : cases) {
    const std::string path = folder / "near.mp4";
    judge::ffmpeg(fmt::format(
        "-f lavfi -i testsrc2=size={}x{}:rate=5:duration=0.4 -vf setsar={} -c:v libx264 {}", width,
        height, aspect, path));
    EXPECT_EQ(probe(path).width, width) << aspect;
    EXPECT_EQ(read_clip(path).width(), width) << aspect;
  }
}

// Frame k of a 20 fps source has the grey value 10 k.
void make_staircase(const std::string& path, const std::string& filter,
                    const std::string& options) {
  judge::ffmpeg(
      "-f lavfi -i \"color=black:size=32x32:rate=20:duration=1.2,format=gray,geq=lum=10*N," +
      filter + "format=gray\" " + options + " -c:v ffv1 " + path);
}

std::vector<int> greys(const Clip& clip) {
  std::vector<int> values;
  for (int64_t f = 0; f < clip.num_frames(); ++f)
    values.push_back(clip.frames_FHWC[f][9][9][0].item<int>());
  return values;
}

TEST(VideoReader, FillsGapsOfVariableRateByRepeating) {
  const TemporaryFolder folder;
  // Frames 0 1 2 3 8 9 10 11 16 17 18 19 of 24.
  make_staircase(folder / "gaps.mkv", "select='not(mod(floor(n/4)\\,2))',",
                 "-fps_mode vfr -enc_time_base 1/1000");
  const Clip clip = read_clip(folder / "gaps.mkv", {.fps = Rational(20)});
  EXPECT_THAT(greys(clip), ::testing::ElementsAre(0, 10, 20, 30, 30, 30, 30, 30, 80, 90, 100, 110,
                                                  110, 110, 110, 110, 160, 170, 180, 190));
}

TEST(VideoReader, ChangesTheRateByRepeatingAndDropping) {
  const TemporaryFolder folder;
  make_staircase(folder / "clip.mkv", "", "");
  EXPECT_THAT(greys(read_clip(folder / "clip.mkv", {.fps = Rational(10), .stop_s = 0.5})),
              ::testing::ElementsAre(0, 20, 40, 60, 80));
  EXPECT_THAT(
      greys(read_clip(folder / "clip.mkv", {.fps = Rational(40), .start_s = 0.1, .stop_s = 0.25})),
      ::testing::ElementsAre(20, 20, 30, 30, 40, 40));
}

TEST(VideoReader, ASlowerRateAddsNoFrameAtTheEnd) {
  const TemporaryFolder folder;
  for (const auto& [from, to] : {std::pair{60, 16}, {60, 30}, {60, 24}, {50, 16}, {24, 16}}) {
    const std::string path = folder / fmt::format("{}_{}.mp4", from, to);
    judge::ffmpeg(fmt::format("-f lavfi -i testsrc2=size=32x32:rate={}:duration=3 -c:v libx264 {}",
                              from, path));
    EXPECT_EQ(read_clip(path, {.fps = Rational(to)}).num_frames(), 3 * to) << from << " " << to;
    EXPECT_EQ(read_clip(path).num_frames(), 3 * from);
  }
}

TEST(VideoReader, TakesTheTrackThatIsMarkedAsTheDefault) {
  const TemporaryFolder folder;
  const std::string path = folder / "tracks.mkv";
  for (const auto& [first, second, width] :
       {std::tuple{"0", "default", 96}, {"default", "0", 64}, {"0", "0", 64}}) {
    judge::ffmpeg(
        fmt::format("-f lavfi -i testsrc2=size=64x48:rate=8 -f lavfi -i "
                    "testsrc2=size=96x64:rate=8 -t 0.5 -map 0 -map 1 -c:v ffv1 -disposition:v:0 {} "
                    "-disposition:v:1 {} -default_mode infer_no_subs {}",
                    first, second, path));
    EXPECT_EQ(read_clip(path).width(), width) << first << " " << second;
    EXPECT_EQ(probe(path).width, width) << first << " " << second;
  }
}

TEST(VideoReader, RangesAreHalfOpenAndExactAfterSeeking) {
  const TemporaryFolder folder;
  // One key frame in 12 s, frame n painted with the bits of n.
  judge::ffmpeg(
      "-f lavfi -i "
      "\"color=black:size=96x16:rate=25:duration=14,format=gray,geq=lum='255*mod(floor(N/"
      "pow(2\\,floor(X/8)))"
      "\\,2)'\" -c:v libx264 -qp 0 -g 300 " +
      (folder / "long.mp4"));
  const auto number = [](const at::Tensor& frame) {
    int value = 0;
    for (int bit = 0; bit < 12; ++bit) value |= (frame[8][8 * bit + 4][0].item<int>() > 128) << bit;
    return value;
  };
  for (const auto& [start, stop] : {std::pair{0.0, 0.2}, {3.0, 3.2}, {11.0, 11.2}, {13.2, 13.4}}) {
    const Clip clip = read_clip(folder / "long.mp4", range(start, stop));
    ASSERT_EQ(clip.num_frames(), 5);
    for (int f = 0; f < 5; ++f) EXPECT_EQ(number(clip.frames_FHWC[f]), std::lround(start * 25) + f);
  }
  EXPECT_EQ(read_clip(folder / "long.mp4", range(20, 21)).num_frames(), 0);
  expect_error(ErrorKind::Usage, "holds nothing",
               [&] { read_clip(folder / "long.mp4", range(2, 1)); });
}

TEST(VideoReader, ReadsInChunksOfAnySize) {
  const TemporaryFolder folder;
  make_staircase(folder / "clip.mkv", "", "");
  VideoReader reader(folder / "clip.mkv");
  std::vector<int64_t> sizes;
  for (at::Tensor chunk = reader.read(7); chunk.size(0) > 0; chunk = reader.read(7))
    sizes.push_back(chunk.size(0));
  EXPECT_THAT(sizes, ::testing::ElementsAre(7, 7, 7, 3));
}

// ---- files that mean harm

class HostileFiles : public ::testing::Test {
 protected:
  void SetUp() override {
    judge::ffmpeg("-f lavfi -i testsrc2=size=64x48:rate=8:duration=1 -c:v libx264 -g 4 " +
                  (folder_ / "good.mp4"));
    judge::ffmpeg("-f lavfi -i testsrc2=size=64x48:rate=8:duration=1 -c:v mpeg2video " +
                  (folder_ / "private.ts"));
  }
  std::string put(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }
  void expect_refused(const std::string& path, const std::string& part = "") {
    SCOPED_TRACE(path);
    expect_error(ErrorKind::Input, part, [&] { read_clip(path); });
  }
  TemporaryFolder folder_;
};

TEST_F(HostileFiles, PlaylistsReadNoOtherFile) {
  const std::string segment = folder_ / "private.ts";
  expect_refused(put("hls.mp4", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n" + segment +
                                    "\n#EXT-X-ENDLIST\n"));
  expect_refused(put("relative.mp4",
                     "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nprivate.ts\n#EXT-X-ENDLIST\n"));
  expect_refused(put("concat.mp4", "ffconcat version 1.0\nfile private.ts\n"));
  expect_refused(put("concat.ffconcat", "ffconcat version 1.0\nfile '" + segment + "'\n"));
  expect_refused(
      put("session.sdp",
          "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP "
          "96\na=rtpmap:96 H264/90000\n"));
  expect_refused(put("clip.dash.mp4",
                     "<?xml version=\"1.0\"?><MPD xmlns=\"urn:mpeg:dash:schema:mpd:2011\" "
                     "type=\"static\"><Period><AdaptationSet><Representation id=\"1\"><BaseURL>" +
                         segment + "</BaseURL></Representation></AdaptationSet></Period></MPD>"));
}

TEST_F(HostileFiles, CutFilesAreErrors) {
  const std::string good = judge::file_bytes(folder_ / "good.mp4");
  expect_refused(put("empty.mp4", ""), "is empty");
  expect_refused(put("head.mp4", good.substr(0, 100)));
  expect_refused(put("no_index.mp4", good.substr(0, good.size() / 2)), "moov atom not found");
  judge::ffmpeg("-i " + (folder_ / "good.mp4") + " -c copy -movflags +faststart " +
                (folder_ / "fast.mp4"));
  const std::string fast = judge::file_bytes(folder_ / "fast.mp4");
  expect_refused(put("cut.mp4", fast.substr(0, fast.size() - 1000)), "is cut off");
  for (const auto& [extension, codec] : {std::pair{"mkv", "libx264"},
                                         {"webm", "libvpx-vp9"},
                                         {"gif", "gif"},
                                         {"ogv", "libtheora"}}) {
    SCOPED_TRACE(extension);
    const std::string name = folder_ / fmt::format("whole.{}", extension);
    judge::ffmpeg(fmt::format("-i {} -c:v {} {}", folder_ / "good.mp4", codec, name));
    EXPECT_EQ(read_clip(name).num_frames(), 8);
    const std::string whole = judge::file_bytes(name);
    const std::string cut = fmt::format("cut.{}", extension);
    expect_refused(put(cut, whole.substr(0, whole.size() - 1)), "is cut off");
    expect_refused(put(cut, whole.substr(0, whole.size() * 3 / 4)));
    expect_refused(put(cut, whole.substr(0, whole.size() / 2)));
  }
  for (const auto& [extension, options] : {std::pair{"avi", "-c:v mpeg4 -c:a mp2"},
                                           {"wmv", "-c:v wmv2 -c:a wmav2"},
                                           {"flv", "-an -c:v flv -g 100"}}) {
    SCOPED_TRACE(extension);
    const std::string name = folder_ / fmt::format("whole.{}", extension);
    judge::ffmpeg(fmt::format("-i {} -f lavfi -i sine=duration=1 {} {}", folder_ / "good.mp4",
                              options, name));
    EXPECT_EQ(read_clip(name).num_frames(), 8);
    const std::string whole = judge::file_bytes(name);
    const std::string cut = fmt::format("cut.{}", extension);
    for (const size_t eighths : {7, 6, 4})
      expect_refused(put(cut, whole.substr(0, whole.size() * eighths / 8)), "is cut off");
  }
  // One whose writer could not go back to fill its length in ends with the file.
  for (const auto& [format, options] :
       {std::pair{"avi", "-c:v mpeg4"}, {"asf", "-c:v wmv2"}, {"flv", "-c:v flv"}}) {
    const std::string name = folder_ / fmt::format("streamed.{}", format);
    judge::ffmpeg(
        fmt::format("-i {} {} -f {} - > {}", folder_ / "good.mp4", options, format, name));
    EXPECT_EQ(read_clip(name).num_frames(), 8) << format;
  }
  // Zero bytes fill a block up, what follows a trailer is no picture's, and a segment whose length
  // nobody knew ends with the file.
  const std::string gif = judge::file_bytes(folder_ / "whole.gif");
  EXPECT_EQ(read_clip(put("filled.gif", gif + std::string(9000, '\0'))).num_frames(), 8);
  EXPECT_EQ(read_clip(put("followed.gif", gif + "a note\n")).num_frames(), 8);
  expect_refused(put("cut.gif", gif.substr(0, gif.size() * 3 / 4) + "a note\n"));
  judge::ffmpeg("-i " + (folder_ / "good.mp4") + " -c copy -live 1 " + (folder_ / "live.mkv"));
  EXPECT_EQ(read_clip(folder_ / "live.mkv").num_frames(), 8);
  expect_refused(put("text.mp4", std::string(5000, 'x')));
  expect_refused(folder_.path(), "is a folder");
  expect_error(ErrorKind::NotFound, "No such file", [&] { read_clip(folder_ / "none.mp4"); });
  write(judge::test_clip(3, 16, 24), folder_ / "clip.y4m", Rational(16));
  const std::string y4m = judge::file_bytes(folder_ / "clip.y4m");
  expect_refused(put("cut.y4m", y4m.substr(0, y4m.size() - 10)));
}

TEST_F(HostileFiles, CutWebpIsNotTakenForAnAnimatedOne) {
  judge::ffmpeg("-f lavfi -i testsrc2=size=96x64:rate=1:duration=1 -c:v libwebp " +
                (folder_ / "still.webp"));
  EXPECT_EQ(read_clip(folder_ / "still.webp").num_frames(), 1);
  const std::string still = judge::file_bytes(folder_ / "still.webp");
  expect_refused(put("cut.webp", still.substr(0, still.size() / 2)), "damaged or cut off");
  write(judge::test_clip(3, 32, 32), folder_ / "moving.webp", Rational(8));
  expect_refused(folder_ / "moving.webp", "is an animated WebP");
}

TEST_F(HostileFiles, DamagedStreamsAreErrors) {
  std::string bytes = judge::file_bytes(folder_ / "good.mp4");
  const size_t data = bytes.find("mdat") + 4;
  for (size_t i = data + 800; i < data + 1800; ++i) bytes[i] = static_cast<char>(i * 37);
  expect_refused(put("damaged.mp4", bytes), "is damaged");
}

TEST_F(HostileFiles, BombsAreRefusedBeforeTheyGrow) {
  // A y4m header that promises a huge picture, and one with a million frames a second.
  expect_refused(put("huge.y4m", "YUV4MPEG2 W60000 H60000 F16:1 C444\nFRAME\n"));
  expect_refused(
      put("fast.y4m", "YUV4MPEG2 W2 H2 F1000000:1 C444\nFRAME\n" + std::string(12, 'x')));
  // A frame that lasts for years, at a constant rate.
  judge::ffmpeg(
      "-f lavfi -i color=red:size=16x16:rate=1:duration=2 -vf setpts=N*100000000/TB -c:v ffv1 " +
      (folder_ / "slow.mkv"));
  expect_error(ErrorKind::Input, "limit", [&] {
    VideoReader reader(folder_ / "slow.mkv", {.fps = Rational(30), .max_frames = 500});
    while (reader.read(64).size(0) > 0) {
    }
  });
  // Pixels that are fifteen times as wide as high.
  judge::ffmpeg("-i " + (folder_ / "good.mp4") + " -vf setsar=15/1 -c:v ffv1 " +
                (folder_ / "wide.mkv"));
  expect_error(ErrorKind::Input, "960x48",
               [&] { VideoReader(folder_ / "wide.mkv", {.max_pixels = int64_t{2} * 64 * 48}); });
}

TEST_F(HostileFiles, WhatIsOnNoListIsNamed) {
  judge::ffmpeg("-i " + (folder_ / "good.mp4") + " -c:v asv1 " + (folder_ / "old.avi"));
  expect_refused(folder_ / "old.avi", "holds asv1, which is not among the codecs that are read");
  judge::ffmpeg("-f lavfi -i sine=duration=0.2 " + (folder_ / "sound.wav"));
  expect_refused(folder_ / "sound.wav", "is wav, which is not among the formats that are read");
}

TEST_F(HostileFiles, SoundAloneIsNoVideo) {
  judge::ffmpeg("-f lavfi -i sine=duration=0.2 -c:a aac " + (folder_ / "sound.mp4"));
  expect_refused(folder_ / "sound.mp4", "no video stream");
}

// Of the frames' numbers from the same ones as raw bytes.
double mean_distance(const at::Tensor& frames, const std::string& raw) {
  if (static_cast<int64_t>(raw.size()) != frames.numel()) {
    ADD_FAILURE() << raw.size() << " bytes for frames of " << frames.numel();
    return std::numeric_limits<double>::infinity();
  }
  const at::Tensor expected =
      at::from_blob(const_cast<char*>(raw.data()), frames.sizes(), at::kByte);
  return (frames.to(at::kInt) - expected.to(at::kInt)).abs().to(at::kDouble).mean().item<double>();
}

TEST(VideoReader, WidePrimariesBecomeBt709) {
  const TemporaryFolder folder;
  for (const auto& [primaries, transfer, matrix] :
       {std::tuple{"bt2020", "bt2020-10", "bt2020nc"}, {"smpte432", "bt709", "bt709"}}) {
    SCOPED_TRACE(primaries);
    const std::string path = folder / (std::string(primaries) + ".mkv");
    const std::string tags =
        fmt::format("-color_trc {} -color_primaries {} -colorspace {} -color_range tv", transfer,
                    primaries, matrix);
    // The source's own colours in wide primaries, which the reader has to give back.
    judge::ffmpeg(
        fmt::format("-f lavfi -i testsrc2=size=64x48:rate=8 -vf "
                    "format=gbrp,zscale=transferin=bt709:primariesin=bt709:matrixin=gbr:"
                    "rangein=full:transfer={}:primaries={}:matrix={}:range=limited:agamma=0,"
                    "format=yuv444p10le -frames:v 2 -c:v ffv1 {} {}",
                    transfer, primaries, matrix == std::string("bt709") ? "709" : "2020_ncl", tags,
                    judge::quoted(path)));
    const judge::CommandResult wanted = judge::run(
        "ffmpeg -v error -f lavfi -i testsrc2=size=64x48:rate=8 -vf "
        "format=gbrp,format=rgb24 -frames:v 2 -f rawvideo -");
    const at::Tensor frames = read_clip(path).frames_FHWC;
    EXPECT_LE(mean_distance(frames, wanted.output), 2.0);
  }
}

TEST(VideoReader, HdrBecomesBt709AsZscaleMakesIt) {
  const TemporaryFolder folder;
  for (const auto& [transfer, name] :
       {std::pair{"smpte2084", "pq.mkv"}, {"arib-std-b67", "hlg.mkv"}}) {
    SCOPED_TRACE(name);
    const std::string path = folder / name;
    judge::ffmpeg(
        fmt::format("-f lavfi -i testsrc2=size=64x48:rate=8 -vf "
                    "zscale=transferin=bt709:primariesin=bt709:matrixin=bt709:transfer={0}:"
                    "primaries=bt2020:matrix=bt2020nc:npl=203,"
                    "format=yuv444p10le -frames:v 2 -c:v ffv1 -color_trc {0} -color_primaries "
                    "bt2020 -colorspace bt2020nc -color_range tv {1}",
                    transfer, judge::quoted(path)));
    const judge::CommandResult wanted = judge::run(fmt::format(
        "ffmpeg -v error -i {} -vf "
        "zscale=transfer=bt709:primaries=bt709:matrix=gbr:range=full:npl=203:agamma=0,format=gbrp,"
        "format=rgb24 -f rawvideo -",
        judge::quoted(path)));
    const at::Tensor frames = read_clip(path).frames_FHWC;
    EXPECT_LE(mean_distance(frames, wanted.output), 1.0);
  }
}

}  // namespace
}  // namespace sora
