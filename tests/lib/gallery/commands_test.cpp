#include "lib/gallery/commands.h"

#include <gtest/gtest.h>

namespace sora {
namespace {

GalleryClip clip_of(const nlohmann::json& request) {
  GalleryClip clip;
  clip.id = "0123456789ab";
  clip.operation = "generate";
  clip.prompt = "a ball";
  clip.manifest = {{"request", request}};
  return clip;
}

TEST(GalleryCommands, RepeatWhatWasGenerated) {
  const nlohmann::json arguments = {{"prompt", "a ball"}};
  EXPECT_EQ(again_command(clip_of({{"arguments", arguments}, {"files", {{"turbo", false}}}})),
            "sora generate 'a ball' --no-turbo");
}

TEST(GalleryCommands, TakeManifestsThatAreNoneOfOurs) {
  const nlohmann::json arguments = {{"prompt", "a ball"}};
  for (const nlohmann::json& turbo :
       {nlohmann::json("yes"), nlohmann::json(1), nlohmann::json(nullptr), nlohmann::json({1, 2})})
    EXPECT_NE(again_command(clip_of({{"arguments", arguments}, {"files", {{"turbo", turbo}}}})),
              "");
  for (const nlohmann::json& part :
       {nlohmann::json({1, 2}), nlohmann::json("a"), nlohmann::json(3)}) {
    EXPECT_NE(again_command(clip_of({{"arguments", arguments}, {"files", part}})), "");
    EXPECT_NE(again_command(clip_of({{"arguments", arguments}, {"video", part}})), "");
    EXPECT_NE(again_command(clip_of(part)), "");
  }
}

}  // namespace
}  // namespace sora
