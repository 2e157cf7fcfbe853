#include "lib/jobs/sweep.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/error_of.h"

namespace sora {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::SizeIs;

TEST(Sweep, ListsAndRanges) {
  EXPECT_THAT(*sweep_values("[1, 2,3]"), ElementsAre("1", "2", "3"));
  EXPECT_THAT(*sweep_values("0.2..0.8/4"), ElementsAre("0.2", "0.4", "0.6", "0.8"));
  EXPECT_THAT(*sweep_values("3..1"), ElementsAre("3", "2", "1"));
  EXPECT_THAT(*sweep_values("5..9/1"), ElementsAre("5"));
  EXPECT_THAT(*sweep_values("-1..1/3"), ElementsAre("-1", "0", "1"));
}

TEST(Sweep, WholeNumbersAreExact) {
  EXPECT_THAT(*sweep_values("18446744073709551610..18446744073709551612"),
              ElementsAre("18446744073709551610", "18446744073709551611", "18446744073709551612"));
  EXPECT_THAT(*sweep_values("1234567890123..1234567890121"),
              ElementsAre("1234567890123", "1234567890122", "1234567890121"));
  EXPECT_THAT(*sweep_values("-2..1"), ElementsAre("-2", "-1", "0", "1"));
  EXPECT_THAT(*sweep_values("1e3..1002"), ElementsAre("1000", "1001", "1002"));
}

TEST(Sweep, OtherTextIsNone) {
  for (const char* text : {"", "1", "832x480", "a..b", "../x", "1.5", "0-1", "wait...", "["})
    EXPECT_FALSE(sweep_values(text)) << text;
}

TEST(Sweep, ImpossibleOnesAreRefused) {
  EXPECT_THAT(error_of([] { sweep_values("[1,,2]"); }).what(), HasSubstr("a value is missing"));
  EXPECT_THAT(error_of([] { sweep_values("0.1..0.5"); }).what(),
              HasSubstr("write how many values"));
  EXPECT_THAT(error_of([] { sweep_values("0..1/0"); }).what(), HasSubstr("no number of values"));
  EXPECT_THAT(error_of([] { sweep_values("0..1e9"); }).what(), HasSubstr("more than 100000"));
}

}  // namespace
}  // namespace sora
