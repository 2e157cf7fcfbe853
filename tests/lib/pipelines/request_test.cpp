#include "lib/pipelines/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/core/error.h"

namespace sora {
namespace {

using ::testing::HasSubstr;

Request full_request() {
  Request request;
  request.operation = GenerateRequest{"红球 \"quoted\"", "first.png", "last.png", 1};
  request.video.size = Size{480, 272};
  request.video.num_frames = 33;
  request.video.fps = Rational(30000, 1001);
  request.sampling.steps = 8;
  request.sampling.guidance_scale = 3.25;
  request.sampling.guidance_interval = GuidanceInterval{0.2, 0.9};
  request.sampling.cache_threshold = 0.05;
  request.sampling.negative_prompt = "";
  request.sampling.seed = 18446744073709551615u;
  request.runtime.dtype = "f32";
  return request;
}

std::string error_of(const nlohmann::json& json) {
  try {
    request_from_json(json);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Usage);
    return error.what();
  }
  return "no error";
}

TEST(Request, JsonRoundTripKeepsEveryField) {
  const nlohmann::json json = to_json(full_request());
  EXPECT_EQ(to_json(request_from_json(nlohmann::json::parse(json.dump()))), json);
  const Request back = request_from_json(json);
  EXPECT_EQ(back.sampling.seed, 18446744073709551615u);
  EXPECT_EQ(back.sampling.guidance_interval, (GuidanceInterval{0.2, 0.9}));
  EXPECT_EQ(back.sampling.cache_threshold, 0.05);
  EXPECT_EQ(back.sampling.negative_prompt, "");
  EXPECT_EQ(back.video.fps, Rational(30000, 1001));
  EXPECT_EQ(std::get<GenerateRequest>(back.operation).prompt, "红球 \"quoted\"");
}

TEST(Request, AbsentOptionsStayAbsentInJson) {
  const nlohmann::json json = to_json(Request{});
  EXPECT_FALSE(json["sampling"].contains("steps"));
  EXPECT_FALSE(json["video"].contains("size"));
}

TEST(Request, IntervalsOfNoiseLevelsAreChecked) {
  nlohmann::json json = to_json(full_request());
  for (const char* wrong : {"0.2", "a:b", "0.5:0.2", "0:2", "0.1:0.2x"}) {
    json["sampling"]["guidance_interval"] = wrong;
    EXPECT_THAT(error_of(json), HasSubstr("noise levels")) << wrong;
  }
}

TEST(Request, UnknownKeysAreNamed) {
  nlohmann::json json = to_json(full_request());
  json["sampling"]["sede"] = 1;
  EXPECT_THAT(error_of(json), HasSubstr("unknown key 'sede'"));
  json = to_json(full_request());
  json["extra"] = 1;
  EXPECT_THAT(error_of(json), HasSubstr("unknown key 'extra'"));
}

TEST(Request, WrongTypesAndOperationsAreNamed) {
  nlohmann::json json = to_json(full_request());
  json["sampling"]["steps"] = "many";
  EXPECT_THAT(error_of(json), HasSubstr("'steps' has the wrong type"));
  json = to_json(full_request());
  json["operation"] = "teleport";
  EXPECT_THAT(error_of(json), HasSubstr("'teleport' is unknown"));
  EXPECT_THAT(error_of(nlohmann::json::array()), HasSubstr("not a JSON object"));
}

TEST(Request, ValuesAreCheckedWhenReadBack) {
  nlohmann::json json = to_json(full_request());
  json["video"]["num_frames"] = 0;
  EXPECT_THAT(error_of(json), HasSubstr("0 frames cannot be made"));
}

TEST(SizeFor, NamesAreSorasSizes) {
  EXPECT_EQ(size_for("480p", "16:9"), (Size{854, 480}));
  EXPECT_EQ(size_for("720p", "9:16"), (Size{720, 1280}));
  EXPECT_EQ(size_for("1080p", "1:1"), (Size{1080, 1080}));
}

}  // namespace
}  // namespace sora
