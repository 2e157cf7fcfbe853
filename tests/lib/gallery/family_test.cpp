#include "lib/gallery/family.h"

#include <gtest/gtest.h>

#include "lib/gallery/commands.h"
#include "lib/gallery/pages.h"

namespace sora {
namespace {

GalleryClip clip(const std::string& digest, const std::vector<std::string>& sources,
                 const std::string& operation = "generate") {
  GalleryClip clip;
  clip.id = clip.sha256 = digest;
  clip.source_sha256 = sources;
  clip.operation = operation;
  return clip;
}

TEST(Family, FindsSourcesAndWhatWasMadeFromThem) {
  const std::vector<GalleryClip> clips = {clip("a", {}), clip("b", {"a", "gone"}, "remix"),
                                          clip("c", {"b", "a"}, "blend")};
  const Family family(clips);
  EXPECT_EQ(family.sources_of(clips[1]), std::vector<const GalleryClip*>{&clips[0]});
  EXPECT_EQ(family.unknown_sources(clips[1]).size(), 1U);
  EXPECT_EQ(family.made_from(clips[0]), (std::vector<const GalleryClip*>{&clips[1], &clips[2]}));
}

TEST(Family, ClipsThatClaimEachOtherEndThePage) {
  const std::vector<GalleryClip> clips = {clip("a", {"b", "a"}, "remix"),
                                          clip("b", {"a"}, "extend")};
  EXPECT_LT(clip_page(clips[0], Family(clips), "title").size(), 20'000u);
}

TEST(Pages, APictureMayHaveItsExtensionInCapitalsAndIsDescribed) {
  GalleryClip shown = clip("a", {});
  shown.media = "media/a.GIF";
  shown.prompt = "a \"red\" ball";
  const std::vector<GalleryClip> clips = {shown};
  EXPECT_NE(clip_page(shown, Family(clips), "title")
                .find("<img id=\"clip\" src=\"../media/a.GIF\" alt=\"a &quot;red&quot; ball\">"),
            std::string::npos);
}

TEST(Commands, AGenerateRequestIsSpelledOut) {
  GalleryClip made = clip("0123456789ab", {});
  made.prompt = "a red ball";
  made.manifest = {{"request",
                    {{"operation", "generate"},
                     {"arguments", {{"prompt", "a red ball"}, {"image", "my picture.png"}}},
                     {"video", {{"size", "480x288"}, {"native", true}}},
                     {"sampling", {{"seed", 7}, {"guidance_scale", 2.5}}},
                     {"model", "nano"}}}};
  EXPECT_EQ(again_command(made),
            "sora generate 'a red ball' --image 'my picture.png' --size 480x288 --native --seed 7 "
            "--guidance 2.5 --model nano");
  made.prompt = "-rf";
  EXPECT_TRUE(again_command(made).ends_with(" -- -rf"));
  made.manifest["request"]["files"]["turbo"] = false;
  made.manifest["request"]["sampling"]["guidance_interval"] = "0.2:0.6";
  EXPECT_TRUE(again_command(made).find(" --guidance-interval 0.2:0.6 ") != std::string::npos);
  EXPECT_TRUE(again_command(made).ends_with(" --no-turbo -- -rf"));
  made.manifest["request"]["files"]["loras"] = {{{"path", "a.safetensors"}, {"weight", 1.0}}};
  EXPECT_EQ(again_command(made), "sora generate --recipe gallery:0123456789ab");
  made.manifest["request"]["files"].erase("loras");
  made.manifest["request"]["arguments"]["storyboard"] = "cards.json";
  EXPECT_EQ(again_command(made), "sora generate --recipe gallery:0123456789ab");
  EXPECT_EQ(again_command(clip("a", {})), "");
}

}  // namespace
}  // namespace sora
