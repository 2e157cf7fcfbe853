#include "lib/provenance/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/pipelines/request.h"

namespace sora {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

Manifest example() {
  Request request;
  GenerateRequest generate;
  generate.prompt = "ein roter Ball 🎈, \"schnell\"";
  generate.image = "ball.png";
  request.operation = generate;
  request.video.fps = Rational(24000, 1001);
  request.sampling.seed = UINT64_MAX;

  Manifest manifest;
  manifest.created_by = "sora 0.1.0";
  manifest.operation = "generate";
  manifest.request = to_json(request);
  manifest.seed = UINT64_MAX;
  manifest.model = {"nano", "WanTransformer3DModel", std::string(64, 'a'), "bf16"};
  manifest.sources = {{"ball.png", std::string(64, 'b')}};
  manifest.video = {854, 480, 48, Rational(24000, 1001)};
  manifest.canvas = {480, 272, 33, Rational(16)};
  manifest.schedule = {"unipc", {0.999999f, 0.9375f, 0.8333333f, 0.0}, 5.0, 4.0};
  manifest.libraries = {{"libtorch", "2.15.0"}, {"ffmpeg", "5.1.9"}};
  return manifest;
}

std::string input_error(const json& object) {
  try {
    manifest_from_json(object, "clip.mp4");
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Input);
    EXPECT_THAT(error.what(), HasSubstr("clip.mp4"));
    return error.what();
  }
  ADD_FAILURE() << "accepted " << object.dump();
  return "";
}

TEST(Manifest, ComesBackAsItWentIn) {
  const Manifest manifest = example();
  EXPECT_EQ(manifest_from_json(to_json(manifest), "clip.mp4"), manifest);
}

TEST(Manifest, ATextAndMarksOfSourcesComeBack) {
  Manifest manifest = example();
  manifest.text = "a red ball, on film";
  manifest.sources[0].watermarks = {"0123456789abcdef", "fedcba9876543210"};
  EXPECT_EQ(manifest_from_json(to_json(manifest), "clip.mp4"), manifest);
}

TEST(Manifest, ComesBackThroughText) {
  const Manifest manifest = example();
  const json parsed = parse_json(to_json(manifest).dump(), "clip.mp4");
  EXPECT_EQ(manifest_from_json(parsed, "clip.mp4"), manifest);
}

TEST(Manifest, CarriesARequestThatRunsAgain) {
  const Manifest manifest = manifest_from_json(to_json(example()), "clip.mp4");
  const Request request = request_from_json(manifest.request);
  EXPECT_EQ(to_json(request), example().request);
  EXPECT_EQ(request.sampling.seed, UINT64_MAX);
}

TEST(Manifest, OfTheSameRequestIsTheSameBytes) {
  EXPECT_EQ(to_json(example()).dump(), to_json(example()).dump());
}

TEST(Manifest, WritesSigmasShort) {
  const std::string text = to_json(example())["schedule"]["sigmas"].dump();
  EXPECT_EQ(text, "[0.999999,0.9375,0.8333333,0.0]");
}

TEST(Manifest, IsToldFromOtherMetadata) {
  EXPECT_TRUE(is_manifest(to_json(example())));
  EXPECT_FALSE(is_manifest(json::parse(R"({"prompt": "another program's"})")));
  EXPECT_FALSE(is_manifest(json::array()));
  EXPECT_THAT(input_error(json::object()), HasSubstr("no manifest of sora"));
}

TEST(Manifest, OfANewerFormNamesTheVersionThatWroteIt) {
  json object = to_json(example());
  object["sora_manifest"] = 2;
  object["created_by"] = "sora 3.0.0";
  object["novel"] = true;
  EXPECT_THAT(input_error(object),
              AllOf(HasSubstr("sora 3.0.0"), HasSubstr("form 2"), HasSubstr("reads 1")));
}

TEST(Manifest, RefusesUnknownAndMissingFieldsAndWrongTypesAtAnyDepth) {
  const json whole = to_json(example());
  const struct {
    const char* pointer;
    json value;  // null: taken away
    const char* named;
  } cases[] = {
      {"/novel", 1, "novel"},
      {"/model/novel", 1, "novel"},
      {"/video/novel", 1, "novel"},
      {"/schedule/novel", 1, "novel"},
      {"/sources/0/novel", 1, "novel"},
      {"/request", nullptr, "request"},
      {"/model", nullptr, "model"},
      {"/model/fingerprint", nullptr, "fingerprint"},
      {"/sources", "ball.png", "sources"},
      {"/seed", -1, "seed"},
      {"/seed", "42", "seed"},
      {"/canvas/fps", "fast", "fps"},
      {"/canvas/width", 1.5, "width"},
      {"/schedule/sigmas", {"high"}, "sigmas"},
      {"/libraries/libtorch", 2, "libtorch"},
      {"/sora_manifest", "1", "sora_manifest"},
  };
  for (const auto& each : cases) {
    json changed = whole;
    changed[json::json_pointer(each.pointer)] = each.value;
    EXPECT_THAT(input_error(changed), HasSubstr(each.named)) << each.pointer;
  }
}

}  // namespace
}  // namespace sora
