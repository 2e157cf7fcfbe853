#include "lib/gallery/gallery_id.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "lib/gallery/gallery.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

TEST(GalleryIds, LeaveTheRestOfARequestAsItIs) {
  const ScratchDirectory folder;
  setenv("XDG_DATA_HOME", folder.path().c_str(), 1);
  GalleryClip clip;
  clip.id = "0123456789ab";
  clip.sha256 = clip.id + std::string(52, 'c');
  clip.path = (folder / "gone.mp4").string();
  clip.media = "media/0123456789ab.mp4";
  std::filesystem::create_directories(folder / "gallery");
  write_index(folder / "gallery", {clip});
  register_gallery(folder / "gallery");

  Request request;
  request.operation = RemixRequest{.prompt = "a cat", .variations = 3, .source = "gallery:0123"};
  request.runtime.model = "wan";
  request.runtime.memory_bytes = int64_t{1} << 30;
  request.runtime.cuda_graph = true;
  request.runtime.threads = 2;
  request.output.path = "out.mp4";
  const Request resolved = resolve_gallery_ids(request);
  const auto& remix = std::get<RemixRequest>(resolved.operation);
  EXPECT_EQ(remix.source, (folder / "gallery/media/0123456789ab.mp4").string());
  EXPECT_EQ(remix.variations, 3);
  EXPECT_EQ(resolved.runtime.model, "wan");
  EXPECT_EQ(resolved.runtime.memory_bytes, request.runtime.memory_bytes);
  EXPECT_TRUE(resolved.runtime.cuda_graph);
  EXPECT_EQ(resolved.runtime.threads, 2);
  EXPECT_EQ(resolved.output.path, "out.mp4");

  request.operation = GenerateRequest{.prompt = "gallery:0123", .image = "gallery:0123"};
  request.sampling.negative_prompt = "gallery:0123";
  const Request of_texts = resolve_gallery_ids(request);
  EXPECT_EQ(std::get<GenerateRequest>(of_texts.operation).prompt, "gallery:0123");
  EXPECT_EQ(std::get<GenerateRequest>(of_texts.operation).image, remix.source);
  EXPECT_EQ(of_texts.sampling.negative_prompt, "gallery:0123");
  unsetenv("XDG_DATA_HOME");
}

}  // namespace
}  // namespace sora
