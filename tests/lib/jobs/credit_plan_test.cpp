#include "lib/jobs/credit_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "lib/jobs/account.h"
#include "tests/error_of.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;

class Plans : public ::testing::Test {
 protected:
  void SetUp() override {
    ::setenv("XDG_CONFIG_HOME", (scratch / "config").c_str(), 1);
    ::unsetenv("SORA_PLAN");
    std::filesystem::create_directories(scratch / "config" / "sora" / "plans");
  }
  void TearDown() override {
    ::unsetenv("XDG_CONFIG_HOME");
    ::unsetenv("SORA_PLAN");
  }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(scratch / "config" / "sora" / name) << text;
  }
  const ScratchDirectory scratch;
};

TEST_F(Plans, LocalHasNoLimits) {
  const CreditPlan plan = load_plan("");
  EXPECT_EQ(plan.name, "local");
  EXPECT_FALSE(plan.has_limits());
  EXPECT_TRUE(plan.relaxed);
}

TEST_F(Plans, PlusAndProAreTheLaunchPlans) {
  const CreditPlan plus = load_plan("plus");
  EXPECT_EQ(plus.credits_per_month, 1000);
  EXPECT_EQ(plus.max_size, (Size{1280, 720}));
  EXPECT_EQ(plus.max_duration_s, 5);
  EXPECT_FALSE(plus.relaxed);
  EXPECT_TRUE(has_visible(plus.watermark));
  const CreditPlan pro = load_plan("pro");
  EXPECT_EQ(pro.credits_per_month, 10000);
  EXPECT_EQ(pro.max_size, (Size{1920, 1080}));
  EXPECT_EQ(pro.max_duration_s, 20);
  EXPECT_EQ(pro.max_concurrent, 5);
  EXPECT_TRUE(pro.relaxed);
  EXPECT_EQ(pro.watermark, Watermark::None);
  for (const CreditPlan& plan : {plus, pro})
    EXPECT_EQ(plan.label, "December 2024 launch prices, reconstructed");
}

TEST_F(Plans, OptionGoesBeforeVariableBeforeConfiguration) {
  write("config.toml", "plan = \"studio\"\n");
  write("plans/studio.toml", "credits_per_month = 300\n");
  EXPECT_EQ(load_plan("").name, "studio");
  EXPECT_EQ(load_plan("").reference(),
            (scratch / "config" / "sora" / "plans" / "studio.toml").string());
  ::setenv("SORA_PLAN", "plus", 1);
  EXPECT_EQ(load_plan("").name, "plus");
  EXPECT_EQ(load_plan("pro").name, "pro");
  EXPECT_THAT(plan_names(), Contains("studio"));
}

TEST_F(Plans, AFileHasItsOwnPrices) {
  write("own.toml", R"(
name = "lab"
credits_per_month = 50
[prices]
bracket_s = 2
[[prices.class]]
size = "640x480"
credits_per_second = [1, 3]
)");
  const CreditPlan plan = load_plan(scratch / "config" / "sora" / "own.toml");
  EXPECT_EQ(plan.name, "lab");
  EXPECT_EQ(price_of(plan.prices, {{640, 480}, 40, {10, 1}, 1}), 2 * 1 + 2 * 3);
}

TEST_F(Plans, FaultsNameFileAndLine) {
  const auto message = [](const char* text) {
    const Error error = error_of([&] { plan_from_toml(text, "mine.toml"); });
    EXPECT_EQ(error.kind(), ErrorKind::Input);
    return std::string(error.what());
  };
  EXPECT_THAT(message("name = 'a'\ncredits = 3\n"),
              HasSubstr("mine.toml: line 2: there is no setting 'credits'"));
  EXPECT_THAT(message("credits_per_month = -1\n"), HasSubstr("above 0"));
  EXPECT_THAT(message("max_size = 'big'\n"), HasSubstr("line 1: 'big' is not a size"));
  EXPECT_THAT(message("prices = 'none'\n"), HasSubstr("there is december-2024"));
  EXPECT_THAT(message("name = \n"), HasSubstr("line 1"));
  EXPECT_EQ(error_of([] { load_plan("gold"); }).kind(), ErrorKind::NotFound);
  EXPECT_THAT(error_of([] { load_plan("gold"); }).what(), HasSubstr("local, plus, pro"));
}

TEST_F(Plans, LimitsAreRefusedWithWhatWouldFit) {
  const Account plus(load_plan("plus"));
  const auto refusal = [&](ClipShape shape, Lane lane) {
    const Error error = error_of([&] { plus.check_limits(shape, lane); });
    EXPECT_EQ(error.kind(), ErrorKind::Refused);
    return std::string(error.what());
  };
  EXPECT_THAT(refusal({{1080, 1920}, 48, {24, 1}, 1}, Lane::Priority),
              HasSubstr("--size 720x1280 would fit"));
  EXPECT_THAT(refusal({{480, 480}, 240, {24, 1}, 1}, Lane::Priority),
              HasSubstr("this one is 10 s; 5 s would fit"));
  EXPECT_THAT(refusal({{480, 480}, 48, {24, 1}, 1}, Lane::Relaxed), HasSubstr("no relaxed lane"));
  plus.check_limits({{720, 1280}, 81, {16, 1}, 1});
}

}  // namespace
}  // namespace sora
