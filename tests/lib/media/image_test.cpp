// Still images against the ffmpeg program's decoding.
#include "lib/media/image.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "lib/core/error.h"
#include "lib/media/video_reader.h"
#include "tests/lib/media/expect_error.h"
#include "tests/lib/media/ffmpeg_judge.h"
#include "tests/lib/media/read_clip.h"

namespace sora {
namespace {

using judge::TemporaryFolder;
using ::testing::HasSubstr;

TEST(Image, ReadsEveryKindAsFfmpegShowsIt) {
  const TemporaryFolder folder;
  struct Kind {
    std::string name, options;
    int tolerance;
  };
  for (const Kind& kind : {Kind{"rgb.png", "-pix_fmt rgb24", 0},
                           {"deep.png", "-pix_fmt rgb48be", 1},
                           {"grey.png", "-pix_fmt gray", 0},
                           {"photo.jpg", "-pix_fmt yuvj444p -q:v 2", 3},
                           {"plain.bmp", "-pix_fmt bgr24", 0},
                           {"plain.tiff", "-pix_fmt rgb24", 0},
                           {"plain.ppm", "-pix_fmt rgb24", 0},
                           {"exact.webp", "-c:v libwebp -lossless 1 -pix_fmt bgra", 0}}) {
    SCOPED_TRACE(kind.name);
    const std::string path = folder / kind.name;
    judge::ffmpeg("-f lavfi -i testsrc=size=61x43 -frames:v 1 " + kind.options + " " + path);
    const auto raw =
        judge::run("ffmpeg -v error -i " + path +
                   " -vf scale=flags=accurate_rnd+full_chroma_int -f rawvideo -pix_fmt rgb24 -");
    ASSERT_EQ(raw.output.size(), 61u * 43 * 3);
    const at::Tensor expected =
        at::from_blob(const_cast<char*>(raw.output.data()), {43, 61, 3}, at::kByte);
    EXPECT_LE(judge::max_difference(read_image(path), expected), kind.tolerance);
  }
}

TEST(Image, ShowsTransparencyOverBlack) {
  const TemporaryFolder folder;
  judge::ffmpeg("-f lavfi -i color=0xC86432@0.5:size=8x8,format=rgba -frames:v 1 " +
                (folder / "half.png"));
  const at::Tensor pixel = read_image(folder / "half.png")[4][4].to(at::kInt);
  EXPECT_NEAR(pixel[0].item<int>(), 100, 1);
  EXPECT_NEAR(pixel[1].item<int>(), 50, 1);
  EXPECT_NEAR(pixel[2].item<int>(), 25, 1);

  // One colour of a PNG without an alpha channel: a tRNS chunk after the header.
  for (const auto& [format, num_channels] : {std::pair{"rgb24", 3}, {"gray", 1}}) {
    SCOPED_TRACE(format);
    judge::ffmpeg(
        fmt::format("-y -f lavfi -i color=red:size=16x8,format={0},drawbox=8:0:8:8:lime:fill "
                    "-pix_fmt {0} -frames:v 1 {1}",
                    format, folder / "plain.png"));
    const at::Tensor plain = read_image(folder / "plain.png");
    std::string key;
    for (int channel = 0; channel < num_channels; ++channel)
      key += {'\0', static_cast<char>(plain[4][4][channel].item<int>())};
    const std::string chunk = std::string("\0\0\0", 3) + static_cast<char>(key.size()) + "tRNS" +
                              key + std::string(4, '\0');  // nobody looks at the checksum
    const std::string bytes = judge::file_bytes(folder / "plain.png");
    constexpr size_t kHeaderBytes = 33;
    std::ofstream(folder / "key.png", std::ios::binary)
        << bytes.substr(0, kHeaderBytes) << chunk << bytes.substr(kHeaderBytes);
    const at::Tensor keyed = read_image(folder / "key.png");
    EXPECT_GT(plain[4][4][0].item<int>(), 50);
    EXPECT_EQ(keyed.narrow(1, 0, 8).max().item<int>(), 0);
    EXPECT_EQ(judge::max_difference(keyed.narrow(1, 8, 8), plain.narrow(1, 8, 8)), 0);
  }
}

// A JPEG whose stored first row begins red and ends green, with an Exif segment that holds the
// orientation alone.
std::string with_orientation(const std::string& jpeg, int orientation, bool little) {
  std::string tiff =
      little ? std::string("II*\0\x08\0\0\0\x01\0", 10) : std::string("MM\0*\0\0\0\x08\0\x01", 10);
  tiff += little ? std::string("\x12\x01\x03\0\x01\0\0\0", 8)
                 : std::string("\x01\x12\0\x03\0\0\0\x01", 8);
  const char value = static_cast<char>(orientation);
  tiff += little ? std::string({value, 0, 0, 0}) : std::string({0, value, 0, 0});
  tiff += std::string(4, '\0');
  const std::string segment = std::string("Exif\0\0", 6) + tiff;
  const size_t length = segment.size() + 2;
  return jpeg.substr(0, 2) + "\xff\xe1" + static_cast<char>(length >> 8) +
         static_cast<char>(length & 255) + segment + jpeg.substr(2);
}

TEST(Image, TurnsAJpegUprightAsExifSays) {
  const TemporaryFolder folder;
  judge::ffmpeg(
      "-f lavfi -i "
      "color=black:size=32x16,format=yuvj444p,drawbox=0:0:8:8:red:fill,drawbox=24:0:8:8:lime:fill "
      "-frames:v 1 "
      "-q:v 2 " +
      (folder / "stored.jpg"));
  const std::string jpeg = judge::file_bytes(folder / "stored.jpg");
  // Where Exif 2.32 table 6 puts the stored first row's two ends: corners as {bottom, right}.
  struct Corners {
    int red_bottom, red_right, green_bottom, green_right;
  };
  constexpr Corners kCorners[8] = {{0, 0, 0, 1}, {0, 1, 0, 0}, {1, 1, 1, 0}, {1, 0, 1, 1},
                                   {0, 0, 1, 0}, {0, 1, 1, 1}, {1, 1, 0, 1}, {1, 0, 0, 0}};
  for (int orientation = 1; orientation <= 8; ++orientation) {
    for (const bool little : {false, true}) {
      SCOPED_TRACE(orientation);
      std::ofstream(folder / "turned.jpg", std::ios::binary)
          << with_orientation(jpeg, orientation, little);
      const at::Tensor picture = read_image(folder / "turned.jpg");
      EXPECT_EQ(picture.size(0), orientation > 4 ? 32 : 16);
      EXPECT_EQ(picture.size(1), orientation > 4 ? 16 : 32);
      const Corners& corners = kCorners[orientation - 1];
      const auto at_corner = [&](int bottom, int right, int channel) {
        return picture[bottom ? picture.size(0) - 3 : 2][right ? picture.size(1) - 3 : 2][channel]
            .item<int>();
      };
      EXPECT_GT(at_corner(corners.red_bottom, corners.red_right, 0), 200);
      EXPECT_GT(at_corner(corners.green_bottom, corners.green_right, 1), 200);
      EXPECT_LE(judge::max_difference(read_clip(folder / "turned.jpg").frames_FHWC[0], picture), 8);
      const FileInfo info = probe(folder / "turned.jpg");
      EXPECT_EQ(info.width, picture.size(1));
      EXPECT_EQ(info.height, picture.size(0));
    }
  }
}

TEST(Image, WritesPngThatReadsBackExactly) {
  const TemporaryFolder folder;
  const at::Tensor picture = judge::test_clip(1, 37, 53)[0];
  write_png(folder / "picture.png", picture);
  EXPECT_EQ(judge::max_difference(judge::decode(folder / "picture.png")[0], picture), 0);
  EXPECT_EQ(judge::max_difference(read_image(folder / "picture.png"), picture), 0);
  write_png(folder / "picture.png", 255 - picture);  // replaces
  EXPECT_EQ(judge::max_difference(read_image(folder / "picture.png"), 255 - picture), 0);
  EXPECT_THAT(folder.entries(), ::testing::ElementsAre("picture.png"));
  expect_error(ErrorKind::Usage, "exists already",
               [&] { write_png(folder / "picture.png", picture, false); });
  expect_error(ErrorKind::NotFound, "does not exist",
               [&] { write_png(folder / "no/picture.png", picture); });
}

TEST(Image, RefusesWhatIsNoImage) {
  const TemporaryFolder folder;
  const auto put = [&](const std::string& name, const std::string& bytes) {
    std::ofstream(folder / name, std::ios::binary) << bytes;
    return folder / name;
  };
  expect_error(ErrorKind::NotFound, "none.png", [&] { read_image(folder / "none.png"); });
  expect_error(ErrorKind::Input, "is a folder", [&] { read_image(folder.path()); });
  expect_error(ErrorKind::Input, "empty", [&] { read_image(put("empty.png", "")); });
  expect_error(ErrorKind::Input, "text.png",
               [&] { read_image(put("text.png", "just some words")); });
  judge::ffmpeg("-f lavfi -i testsrc=size=64x64 -frames:v 1 " + (folder / "good.png"));
  judge::ffmpeg("-f lavfi -i testsrc=size=64x64 -frames:v 1 " + (folder / "good.jpg"));
  judge::ffmpeg("-f lavfi -i testsrc=size=64x64 -frames:v 1 " + (folder / "good.ppm"));
  for (const std::string name : {"png", "jpg", "ppm"}) {
    const std::string bytes = judge::file_bytes(folder / ("good." + name));
    for (const size_t keep : {bytes.size() / 50, bytes.size() / 3, bytes.size() - 20}) {
      SCOPED_TRACE(fmt::format("{} bytes of {}", keep, name));
      expect_error(ErrorKind::Input, "cut",
                   [&] { read_image(put("cut." + name, bytes.substr(0, keep))); });
    }
  }
  // The header of a PNG that claims 30000 x 30000 pixels.
  std::string bomb = judge::file_bytes(folder / "good.png");
  for (const size_t position : {size_t{16}, size_t{20}})
    bomb.replace(position, 4, std::string("\0\0\x75\x30", 4));
  expect_error(ErrorKind::Input, "bomb.png", [&] { read_image(put("bomb.png", bomb)); });
  // A playlist under an image's name.
  expect_error(ErrorKind::Input, "list.png", [&] {
    read_image(put("list.png",
                   "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\ngood.png\n#EXT-X-ENDLIST\n"));
  });
}

}  // namespace
}  // namespace sora
