#include "lib/pipelines/request_operations.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/pipelines/request.h"
#include "tests/error_of.h"

namespace sora {
namespace {

using ::testing::HasSubstr;

template <typename Call>
std::string usage_error(Call&& call) {
  const Error error = error_of(call);
  EXPECT_EQ(error.kind(), ErrorKind::Usage);
  return error.what();
}

TEST(TimeRange, IsTwoTimesInOrder) {
  EXPECT_EQ(parse_time_range("0.5-2"), (TimeRange{0.5, 2}));
  EXPECT_EQ(parse_time_range("0.5-1s"), (TimeRange{0.5, 1}));
  EXPECT_EQ(parse_time_range("500ms - 1s"), (TimeRange{0.5, 1}));
  EXPECT_EQ(to_string(TimeRange{1.5, 2.25}), "1.5-2.25");
  EXPECT_EQ(to_string(TimeRange{5e-5, 0.2}), "0.00005-0.2");
  EXPECT_EQ(parse_time_range(to_string(TimeRange{5e-5, 0.2})), (TimeRange{5e-5, 0.2}));
  for (const char* text : {"", "1", "-", "a-b", "1-2-3", "1-x", "nan-2", "1-inf"}) {
    EXPECT_THAT(usage_error([&] { parse_time_range(text); }), HasSubstr("is not a range")) << text;
  }
  EXPECT_THAT(usage_error([] { parse_time_range("2-1"); }), HasSubstr("holds nothing"));
  EXPECT_THAT(usage_error([] { parse_time_range("1-1"); }), HasSubstr("holds nothing"));
}

TEST(Seconds, HaveUnits) {
  EXPECT_DOUBLE_EQ(parse_seconds("3"), 3);
  EXPECT_DOUBLE_EQ(parse_seconds("2.5s"), 2.5);
  EXPECT_DOUBLE_EQ(parse_seconds("500ms"), 0.5);
  for (const char* text : {"", "s", "three", "-1", "1m", "nan", "1e999"}) {
    EXPECT_THAT(usage_error([&] { parse_seconds(text); }), HasSubstr("is not a length of time"))
        << text;
  }
}

TEST(Curve, RunsStraightBetweenItsPoints) {
  const Curve curve = parse_curve("0:0, 0.5:1\n1:0\n");
  EXPECT_DOUBLE_EQ(curve(0.25), 0.5);
  EXPECT_DOUBLE_EQ(curve(0.5), 1);
  EXPECT_DOUBLE_EQ(curve(0.75), 0.5);
  EXPECT_EQ(parse_curve(to_string(curve)), curve);
  EXPECT_DOUBLE_EQ(parse_curve("0.2:0.3")(0.9), 0.3);
  EXPECT_DOUBLE_EQ(parse_curve("0.2:0.3,0.4:0.7")(0), 0.3);
}

TEST(Curve, StaysWithinZeroToOneWhereItsPointsRound) {
  EXPECT_LE(parse_curve("0:0.1,0.3:1")(0.3), 1);
  EXPECT_GE(parse_curve("0.15:0.9,0.3:0")(0.3), 0);
  EXPECT_DOUBLE_EQ(parse_curve("0.3:0,0.30000000000000004:1")(0.30000000000000004), 1);
}

TEST(Curve, SaysWhichPointIsWrong) {
  EXPECT_THAT(usage_error([] { parse_curve(""); }), HasSubstr("is no point of a curve"));
  EXPECT_THAT(usage_error([] { parse_curve("0:0,half:1"); }), HasSubstr("'half:1' is no point"));
  EXPECT_THAT(usage_error([] { parse_curve("0:0,,1:1"); }), HasSubstr("'' is no point"));
  EXPECT_THAT(usage_error([] { parse_curve("0:0,0.5:2"); }),
              HasSubstr("0.5:2 lies outside 0 to 1"));
  EXPECT_THAT(usage_error([] { parse_curve("0:0,0.8:1,0.5:0"); }),
              HasSubstr("0.5:0 does not come after 0.8"));
}

TEST(Strength, NamesAreNoiseLevelsInOrder) {
  EXPECT_LT(strength_sigma("subtle"), strength_sigma("mild"));
  EXPECT_LT(strength_sigma("mild"), strength_sigma("strong"));
  EXPECT_DOUBLE_EQ(strength_sigma("0.25"), 0.25);
  for (const char* text : {"", "weak", "1.5", "-0.1", "nan"}) {
    EXPECT_THAT(usage_error([&] { strength_sigma(text); }),
                HasSubstr("is none of subtle, mild, strong"))
        << text;
  }
}

template <typename Tool>
std::string refusal(const Tool& tool) {
  return usage_error([&] { check(tool); });
}

TEST(Tools, SayWhatIsMissingOrContradicts) {
  ExtendRequest extend;
  EXPECT_THAT(refusal(extend), HasSubstr("extend needs a video"));
  extend.source = "a.mp4";
  EXPECT_THAT(refusal(extend), HasSubstr("extend needs --by"));
  extend.by_s = 1;
  extend.fit = "squeeze";
  EXPECT_THAT(refusal(extend), HasSubstr("--fit 'squeeze' is none of crop, pad, stretch"));

  RecutRequest recut;
  recut.source = "a.mp4";
  EXPECT_THAT(refusal(recut), HasSubstr("either --keep"));
  recut.keep = {{0, 1}};
  recut.drop = {{1, 2}};
  EXPECT_THAT(refusal(recut), HasSubstr("either --keep"));
  recut.drop.clear();
  recut.at_s = {0, 1};
  EXPECT_THAT(refusal(recut), HasSubstr("1 --keep and 2 --at"));

  LoopRequest loop;
  loop.source = "a.mp4";
  loop.from_s = 2;
  loop.to_s = 1;
  EXPECT_THAT(refusal(loop), HasSubstr("holds nothing"));
  loop = {};
  loop.source = "a.mp4";
  loop.length = "endless";
  EXPECT_THAT(refusal(loop), HasSubstr("none of short, normal, long"));

  RemixRequest remix;
  remix.source = "a.mp4";
  EXPECT_THAT(refusal(remix), HasSubstr("remix needs a prompt"));
  remix.prompt = "a star";
  remix.method = "magic";
  EXPECT_THAT(refusal(remix), HasSubstr("none of sdedit, flowedit, flowalign"));

  BlendRequest blend;
  blend.source = "a.mp4";
  EXPECT_THAT(refusal(blend), HasSubstr("two videos"));
  blend.source = blend.second = "-";
  EXPECT_THAT(refusal(blend), HasSubstr("only one of the two"));
}

TEST(Tools, RefuseWhatWouldDoNothing) {
  RemixRequest remix{.prompt = "a star", .source = "a.mp4", .source_prompt = "a ball"};
  EXPECT_THAT(refusal(remix), HasSubstr("--source-prompt is for --method flowedit"));
  remix.method = "flowedit";
  check(remix);
  Request request{.operation = remix};
  request.sampling.cache_threshold = 0.1;
  EXPECT_THAT(refusal(request), HasSubstr("leave out --cache"));
  request.sampling.cache_threshold = 0;
  request.sampling.guidance_interval = {{0.2, 0.9}};
  EXPECT_THAT(refusal(request), HasSubstr("leave out --guidance-interval"));
  request.sampling.guidance_interval = {{0, 1}};
  check(request);

  BlendRequest blend{.source = "a.mp4", .second = "b.mp4", .strength = "strong"};
  EXPECT_THAT(refusal(blend), HasSubstr("--strength is for --mode mix and sample"));
  blend.mode = "sample";
  check(blend);
  blend.curve = parse_curve("0:0,1:1");
  EXPECT_THAT(refusal(blend), HasSubstr("--curve is for --mode transition and mix"));
}

template <typename Tool>
void expect_round_trip(const Tool& tool) {
  Request request;
  request.operation = tool;
  const nlohmann::json json = to_json(request);
  const Request back = request_from_json(nlohmann::json::parse(json.dump()));
  EXPECT_EQ(to_json(back), json);
  EXPECT_TRUE(std::holds_alternative<Tool>(back.operation));
  nlohmann::json wrong = json;
  wrong["arguments"]["sauce"] = "a";
  EXPECT_THAT(usage_error([&] { request_from_json(wrong); }), HasSubstr("unknown key 'sauce'"));
}

TEST(Tools, JsonRoundTripKeepsEveryField) {
  expect_round_trip(ExtendRequest{"a ball", 1, "pad", "a.mp4", 2.5, true});
  expect_round_trip(
      RecutRequest{"a ball", 1, "stretch", "a.mp4", {{0, 1}, {2, 3.5}}, {0, 4}, {}, 9.5});
  expect_round_trip(RecutRequest{"", 1, "crop", "a.mp4", {}, {}, {{1, 2}}, {}});
  expect_round_trip(LoopRequest{"", 1, "crop", "a.mp4", 0.5, 3.0, "long"});
  expect_round_trip(RemixRequest{"a star", 1, "crop", "a.mp4", "a ball", "0.3", "flowalign"});
  expect_round_trip(
      BlendRequest{"", 1, "crop", "a.mp4", "b.mp4", "mix", parse_curve("0:0,1:1"), "strong", 2.0});
}

}  // namespace
}  // namespace sora
