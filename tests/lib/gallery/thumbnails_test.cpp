#include "lib/gallery/thumbnails.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "lib/media/video_reader.h"
#include "lib/media/video_writer.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

TEST(Thumbnails, PlayAsFastAsTheClip) {
  const ScratchDirectory scratch;
  for (const int64_t fps : {5, 12, 30}) {
    SCOPED_TRACE(fps);
    const std::string clip = (scratch / "clip.mp4").string();
    VideoWriter writer(
        {.path = clip, .width = 640, .height = 320, .fps = Rational(fps), .force = true});
    writer.write((at::arange(2 * fps) * 4)
                     .to(at::kByte)
                     .view({-1, 1, 1, 1})
                     .expand({2 * fps, 320, 640, 3})
                     .contiguous());
    writer.finish();
    write_thumbnails(clip, scratch / "poster.webp", scratch / "preview.webp");
    const FileInfo preview = probe((scratch / "preview.webp").string());
    EXPECT_NEAR(preview.duration_s, 2, 0.01);
    EXPECT_EQ(preview.width, 320);
    EXPECT_EQ(preview.height, 160);
  }
}

}  // namespace
}  // namespace sora
