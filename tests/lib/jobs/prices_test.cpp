// Expected credits are the tables that the launch's price list was reconstructed as: clips of whole
// five seconds, and by the second for lengths between.
#include "lib/jobs/prices.h"

#include <gtest/gtest.h>

#include "lib/jobs/account.h"
#include "tests/error_of.h"

namespace sora {
namespace {

struct PriceRow {
  Size size;
  int64_t credits[4];  // 5, 10, 15, 20 s
};
constexpr PriceRow kClips[] = {
    {{480, 480}, {20, 40, 60, 80}},        {{854, 480}, {25, 50, 100, 150}},
    {{720, 720}, {30, 75, 150, 225}},      {{1280, 720}, {60, 180, 360, 540}},
    {{1080, 1080}, {100, 300, 650, 1000}}, {{1920, 1080}, {200, 600, 1300, 2000}},
};

class Prices : public ::testing::Test {
 protected:
  PriceTable table = plan_from_toml("name = 'any'\ncredits_per_month = 1\n", "any.toml").prices;

  int64_t price(Size size, double seconds, int variations = 1) const {
    return price_of(table, {size, static_cast<int64_t>(seconds * 24), {24, 1}, variations});
  }
};

TEST_F(Prices, EveryClipOfTheLaunchTable) {
  for (const PriceRow& row : kClips) {
    for (int i = 0; i < 4; ++i) {
      EXPECT_EQ(price(row.size, 5 * (i + 1)), row.credits[i])
          << to_string(row.size) << " " << 5 * (i + 1);
      EXPECT_EQ(price({row.size.height, row.size.width}, 5 * (i + 1)), row.credits[i]) << "upright";
    }
  }
}

TEST_F(Prices, LengthsBetweenAreBilledByTheSecond) {
  EXPECT_EQ(price({854, 480}, 1), 5);
  EXPECT_EQ(price({1280, 720}, 7), 5 * 12 + 2 * 24);
  EXPECT_EQ(price({1920, 1080}, 13), 200 + 400 + 3 * 140);
  EXPECT_EQ(price({480, 480}, 0.5), 2);
  EXPECT_EQ(price({854, 480}, 0.25), 2) << "rounded up";
  EXPECT_EQ(price({480, 480}, 30), 80 + 10 * 4) << "the last rate goes on";
}

TEST_F(Prices, EachVariationIsBilledAlone) {
  EXPECT_EQ(price({480, 480}, 5, 4), 80);
  EXPECT_EQ(price({854, 480}, 0.25, 4), 8) << "each rounded up";
}

TEST_F(Prices, OneFramePastASecondIsNotCounted) {
  EXPECT_DOUBLE_EQ(billed_seconds({{480, 480}, 81, {16, 1}, 1}), 5);
  EXPECT_DOUBLE_EQ(billed_seconds({{480, 480}, 80, {16, 1}, 1}), 5);
  EXPECT_DOUBLE_EQ(billed_seconds({{480, 480}, 82, {16, 1}, 1}), 82.0 / 16);
  EXPECT_DOUBLE_EQ(billed_seconds({{480, 480}, 1, {16, 1}, 1}), 1.0 / 16);
  EXPECT_DOUBLE_EQ(billed_seconds({{480, 480}, 150, {30000, 1001}, 1}), 5);
}

TEST_F(Prices, SizesBetweenBelongToTheFirstClassThatHoldsThem) {
  EXPECT_EQ(table.class_of({832, 480}).name, "480p");
  EXPECT_EQ(table.class_of({480, 288}).name, "480p square");
  EXPECT_EQ(table.class_of({640, 640}).name, "720p square");
  EXPECT_EQ(table.class_of({704, 1280}).name, "720p");
  EXPECT_EQ(table.class_of({856, 480}).name, "720p");
  const Error error = error_of([&] { table.class_of({1920, 1088}); });
  EXPECT_EQ(error.kind(), ErrorKind::Refused);
}

TEST_F(Prices, ARefusalSaysWhatWouldFit) {
  CreditPlan plan = plan_from_toml("name = 'any'\ncredits_per_month = 1000\n", "any.toml");
  const ClipShape shape{{1280, 720}, 240, {24, 1}, 1};  // 180 credits
  EXPECT_EQ(what_fits(plan, shape, 100),
            "6 s of this size, or 720p square (720x720) of this length would fit");
  EXPECT_EQ(what_fits(plan, shape, 10), "");
  EXPECT_EQ(what_fits(plan, {{480, 480}, 120, {24, 1}, 4}, 60),
            "3 of the 4 variations, or 3 s of this size would fit");
}

}  // namespace
}  // namespace sora
