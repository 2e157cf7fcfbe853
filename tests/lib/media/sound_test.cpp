// Sound against the ffmpeg program: what is read is what it decodes, at the same times, and what is
// written it finds there.
#include "lib/media/sound.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "lib/media/video_reader.h"
#include "lib/media/video_writer.h"
#include "tests/error_of.h"
#include "tests/lib/media/ffmpeg_judge.h"

namespace sora {
namespace {

using ::testing::HasSubstr;

// A rising tone in the left channel, beeps in the right one.
constexpr const char* kStereo =
    "aevalsrc='0.5*sin(300*PI*t*(1+t))|0.5*sin(880*PI*t)*lt(mod(t,0.5),0.1)':s=44100";

// As ffmpeg decodes it, silence put where the file has none; [samples, channels]. To whole numbers,
// which it keeps below full scale as it mixes channels down.
at::Tensor decoded(const std::string& path, int64_t channels) {
  const judge::CommandResult result = judge::run(fmt::format(
      "ffmpeg -v error -i {} -map 0:a:0 -af aresample=async=1:first_pts=0 -ar {} -ac {} -f s16le -",
      judge::quoted(path), kSoundRate, channels));
  EXPECT_EQ(result.status, 0);
  const auto count = static_cast<int64_t>(result.output.size() / sizeof(int16_t));
  at::Tensor samples = at::empty({count}, at::kShort);
  std::copy_n(result.output.data(), static_cast<size_t>(count) * sizeof(int16_t),
              reinterpret_cast<char*>(samples.mutable_data_ptr<int16_t>()));
  return samples.to(at::kFloat).div_(32768).view({-1, channels});
}

double distance(const at::Tensor& a, const at::Tensor& b) {
  const int64_t count = std::min(a.size(0), b.size(0));
  return (a.slice(0, 0, count) - b.slice(0, 0, count)).abs().mean().item<double>();
}

// Of the first second, every 10 ms.
at::Tensor loudness(const at::Tensor& samples_NC) {
  return samples_NC.slice(0, 0, kSoundRate)
      .reshape({-1, kSoundRate / 100, samples_NC.size(1)})
      .abs()
      .mean(1);
}

int64_t loudest(const at::Tensor& samples_NC) {
  return samples_NC.select(1, 0).abs().argmax().item<int64_t>();
}

void write_clip(const judge::TemporaryFolder& folder, const std::string& name,
                const std::string& sound, double seconds, const std::string& source = kStereo) {
  judge::ffmpeg(fmt::format(
      "-f lavfi -i testsrc2=size=32x32:rate=10 -f lavfi -i \"{}\" -t {} -pix_fmt yuv420p {} {}",
      source, seconds, sound, judge::quoted(folder / name)));
}

TEST(Sound, IsWhatFfmpegDecodes) {
  const judge::TemporaryFolder folder;
  for (const auto& [name, sound] : {std::pair{"aac.mp4", "-c:v libx264 -c:a aac"},
                                    {"flac.mkv", "-c:v libx264 -c:a flac"},
                                    {"opus.webm", "-c:v libvpx -c:a libopus"},
                                    {"pcm.mov", "-c:v libx264 -c:a pcm_s16le -ac 1"},
                                    {"mp3.avi", "-c:v mpeg4 -c:a libmp3lame"},
                                    {"dts.mkv", "-c:v libx264 -c:a dca -strict -2"},
                                    {"truehd.mkv", "-c:v libx264 -c:a truehd -strict -2"},
                                    {"surround.mkv", "-c:v libx264 -c:a flac -ac 6"}}) {
    SCOPED_TRACE(name);
    write_clip(folder, name, sound, 2);
    const std::string path = folder / name;
    const int64_t channels = sound_channels(path);
    EXPECT_EQ(channels, name == std::string("pcm.mov") ? 1 : 2);
    const at::Tensor wanted = decoded(path, channels);
    for (const auto& [start_s, first] : {std::pair{0.0, int64_t{0}}, {0.75, kSoundRate * 3 / 4}}) {
      const at::Tensor read = read_sound(path, start_s, kSoundRate, channels),
                       same = wanted.slice(0, first);
      // webm keeps times in milliseconds: its waves may be shifted by a part of one, a tenth of a
      // window of loudness.
      EXPECT_LT(distance(loudness(read), loudness(same)), 0.02);
      if (name != std::string("opus.webm")) {
        EXPECT_LT(distance(read, same), 0.005);
      }
    }
  }
}

TEST(Sound, StandsWhereItsTimestampsSay) {
  const judge::TemporaryFolder folder;
  const std::string path = folder / "late.mkv";
  judge::ffmpeg(
      "-f lavfi -i testsrc2=size=32x32:rate=10 -itsoffset 0.6 -f lavfi -i sine=duration=0.5 -t 2 "
      "-c:v libx264 -c:a flac " +
      judge::quoted(path));
  const at::Tensor read = read_sound(path, 0, 2 * kSoundRate, 1);
  EXPECT_EQ(read.slice(0, 0, kSoundRate * 59 / 100).abs().max().item<float>(), 0);
  EXPECT_GT(read.slice(0, kSoundRate * 61 / 100, kSoundRate).abs().mean().item<float>(), 0.05);
  EXPECT_EQ(read.slice(0, kSoundRate * 112 / 100).abs().max().item<float>(), 0);
  EXPECT_EQ(read_sound(path, 5, 100, 1).abs().max().item<float>(), 0);
  EXPECT_EQ(read_sound(path, -1, kSoundRate, 1).abs().max().item<float>(), 0);
}

TEST(Sound, StandsByTheFirstPictureThatCanBeShown) {
  const judge::TemporaryFolder folder;
  judge::ffmpeg(
      "-f lavfi -i testsrc2=size=32x32:rate=10 -f lavfi -i "
      "\"aevalsrc='0.8*sin(880*PI*t)*between(t,2.5,2.6)':s=48000\" -t 4 -c:v libx264 -g 10 -bf 0 "
      "-sc_threshold 0 -c:a flac " +
      judge::quoted(folder / "whole.mkv"));
  // Begins with five pictures that hang on a key frame before them.
  judge::ffmpeg("-i " + judge::quoted(folder / "whole.mkv") +
                " -c copy -bsf:v \"noise=drop='lt(n,5)'\" " + judge::quoted(folder / "cut.mkv"));
  const at::Tensor read = read_sound(folder / "cut.mkv", 0, 3 * kSoundRate, 1);
  EXPECT_NEAR(static_cast<double>(loudest(read)) / kSoundRate, 1.55, 0.06);
}

TEST(Sound, IsFoundFarIntoAFile) {
  const judge::TemporaryFolder folder;
  for (const auto& [name, sound] : {std::pair{"a.mp4", "-c:v libx264 -preset ultrafast -c:a aac"},
                                    {"b.webm", "-c:v libvpx -deadline realtime -c:a libopus"}}) {
    SCOPED_TRACE(name);
    write_clip(folder, name, sound, 14);
    EXPECT_LT(distance(loudness(read_sound(folder / name, 12.2, kSoundRate, 2)),
                       loudness(decoded(folder / name, 2).slice(0, kSoundRate * 122 / 10))),
              0.01);
  }
}

double peak(const at::Tensor& samples_NC) {
  return samples_NC.slice(0, kSoundRate / 10).abs().max().item<double>();
}

TEST(Sound, IsNotClippedAsSixChannelsBecomeTwo) {
  const judge::TemporaryFolder folder;
  const std::string path = folder / "loud.mkv";
  write_clip(folder, "loud.mkv", "-c:v libx264 -c:a flac", 1,
             "aevalsrc='0.7*sin(880*PI*t)':s=48000,pan=5.1|FL=c0|FR=c0|FC=c0|BL=c0|BR=c0");
  const at::Tensor read = read_sound(path, 0, kSoundRate, 2);
  EXPECT_NEAR(peak(read), 0.7, 0.01);
  EXPECT_LT(distance(read, decoded(path, 2)), 0.001);
}

TEST(Sound, OfOneChannelIsAsLoudInEachOfTwo) {
  const judge::TemporaryFolder folder;
  for (const int channels : {1, 2}) {
    const std::string name = fmt::format("{}.mov", channels);
    write_clip(folder, name, "-c:v libx264 -c:a pcm_s16le", 1,
               channels == 1 ? "aevalsrc='0.5*sin(880*PI*t)':s=48000"
                             : "aevalsrc='0.5*sin(880*PI*t)|0.5*sin(880*PI*t)':s=48000");
    for (const int wanted : {1, 2})
      EXPECT_NEAR(peak(read_sound(folder / name, 0, kSoundRate, wanted)), 0.5, 0.01);
  }
}

TEST(Sound, OfAnotherRateHasNoBreakAfterAMinute) {
  const judge::TemporaryFolder folder;
  write_clip(folder, "long.mkv", "-c:v libx264 -c:a aac", 60,
             "aevalsrc='0.5*sin(880*PI*t)':s=44100");
  const at::Tensor read = read_sound(folder / "long.mkv", 0, 59 * kSoundRate, 1).select(1, 0);
  const double step = 880 * M_PI / static_cast<double>(kSoundRate);
  // What a pure tone is by its two samples before.
  const at::Tensor off =
      read.slice(0, 2) - 2 * std::cos(step) * read.slice(0, 1, -1) + read.slice(0, 0, -2);
  EXPECT_LT(off.slice(0, kSoundRate).abs().max().item<double>(), 0.01);
}

TEST(Sound, OfACodecThatIsNotOnTheListIsASentence) {
  const judge::TemporaryFolder folder;
  write_clip(folder, "a.mkv", "-c:v libx264 -c:a tta", 1);
  const Error error = error_of([&] { read_sound(folder / "a.mkv", 0, 100, 2); });
  EXPECT_EQ(error.kind(), ErrorKind::Input);
  EXPECT_THAT(error.what(),
              ::testing::EndsWith("holds tta, which is not among the codecs that are read"));
}

// A click at 0.7 s of 1.25 s.
std::vector<std::string> write_click(const std::string& path, int64_t channels) {
  WriterOptions options{.path = path, .width = 32, .height = 32, .fps = Rational(16)};
  options.sound_NC = at::zeros({kSoundRate * 5 / 4, channels}, at::kFloat);
  options.sound_NC.slice(0, kSoundRate * 7 / 10, kSoundRate * 7 / 10 + 48).fill_(0.8);
  VideoWriter writer(options);
  writer.write(judge::test_clip(20, 32, 32));
  writer.finish();
  return writer.notices();
}

TEST(Sound, IsWrittenWhereItBelongs) {
  const judge::TemporaryFolder folder;
  for (const auto& [name, codec] :
       {std::pair{"a.mp4", "aac"}, {"b.mov", "aac"}, {"c.mkv", "aac"}, {"d.webm", "opus"}}) {
    for (const int64_t channels : {1, 2}) {
      SCOPED_TRACE(fmt::format("{} {}", name, channels));
      const std::string path = folder / (std::to_string(channels) + name);
      EXPECT_TRUE(write_click(path, channels).empty());
      EXPECT_TRUE(judge::decodes_cleanly(path));
      EXPECT_EQ(judge::ffprobe(path).frames, 20);
      EXPECT_NEAR(judge::ffprobe(path).duration_s, 1.25, 0.03);
      const std::string facts = judge::run(
                                    "ffprobe -v error -select_streams a -show_entries "
                                    "stream=codec_name,sample_rate,channels -of csv=p=0 " +
                                    judge::quoted(path))
                                    .output;
      EXPECT_EQ(facts, fmt::format("{},48000,{}\n", codec, channels));
      // Sound relative to the first picture, as players show them.
      const at::Tensor heard = decoded(path, channels);
      const double start = std::stod(
          judge::run(
              "ffprobe -v error -select_streams v -show_entries stream=start_time -of csv=p=0 " +
              judge::quoted(path))
              .output);
      const double at = static_cast<double>(loudest(heard)) / kSoundRate - start;
      EXPECT_NEAR(at, 0.7, 0.01);
      EXPECT_NEAR(static_cast<double>(heard.size(0)) / kSoundRate - start, 1.25, 0.03);
      EXPECT_NEAR(static_cast<double>(loudest(read_sound(path, 0, kSoundRate * 5 / 4, channels))) /
                      kSoundRate,
                  0.7, 0.01);
    }
  }
}

TEST(Sound, IsLeftOutWithAWordWhereAContainerHoldsNone) {
  const judge::TemporaryFolder folder;
  for (const char* name : {"a.gif", "b.webp", "c.y4m", "d%03d.png"}) {
    SCOPED_TRACE(name);
    const std::vector<std::string> notices = write_click(folder / name, 1);
    ASSERT_FALSE(notices.empty());
    EXPECT_THAT(notices.front(), HasSubstr("holds no sound; it is left out"));
  }
}

TEST(Sound, GivesTheSameBytesEachTime) {
  const judge::TemporaryFolder folder;
  for (const char* extension : {"mp4", "webm"}) {
    write_click(folder / (std::string("a.") + extension), 2);
    write_click(folder / (std::string("b.") + extension), 2);
    EXPECT_EQ(judge::file_bytes(folder / (std::string("a.") + extension)),
              judge::file_bytes(folder / (std::string("b.") + extension)));
  }
}

}  // namespace
}  // namespace sora
