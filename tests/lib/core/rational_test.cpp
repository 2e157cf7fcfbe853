#include "lib/core/rational.h"

#include <gtest/gtest.h>

#include "lib/core/error.h"

namespace sora {
namespace {

TEST(Rational, IsAlwaysInLowestTermsWithAPositiveDenominator) {
  EXPECT_EQ(Rational(60, 2), Rational(30));
  EXPECT_EQ(Rational(48000, 2002), Rational(24000, 1001));
  EXPECT_EQ(Rational(3, -6), Rational(-1, 2));
  EXPECT_EQ(Rational(0, 7), Rational(0, 1));
}

TEST(Rational, RefusesADenominatorOfZero) { EXPECT_THROW(Rational(1, 0), Error); }

TEST(Rational, ParsesIntegersFractionsAndDecimals) {
  EXPECT_EQ(parse_rational("16"), Rational(16));
  EXPECT_EQ(parse_rational("30000/1001"), Rational(30000, 1001));
  EXPECT_EQ(parse_rational("50/2"), Rational(25));
  EXPECT_EQ(parse_rational("12.5"), Rational(25, 2));
  EXPECT_EQ(parse_rational("16.0"), Rational(16));
  EXPECT_EQ(parse_rational("0.333"), Rational(333, 1000));
}

TEST(Rational, ReadsTheNtscDecimalsAsTheirExactRates) {
  EXPECT_EQ(parse_rational("23.976"), Rational(24000, 1001));
  EXPECT_EQ(parse_rational("23.98"), Rational(24000, 1001));
  EXPECT_EQ(parse_rational("29.97"), Rational(30000, 1001));
  EXPECT_EQ(parse_rational("59.94"), Rational(60000, 1001));
  EXPECT_EQ(parse_rational("119.88"), Rational(120000, 1001));
}

TEST(Rational, LeavesDecimalsNearAnNtscRateAlone) {
  for (const char* text : {"23.9", "23.99", "29.9", "29.98", "30.03", "59.9", "24.5"}) {
    EXPECT_NEAR(parse_rational(text).value(), std::stod(text), 1e-12) << text;
  }
}

TEST(Rational, PrintsWhatItParses) {
  for (const char* text : {"16", "30000/1001", "25/2", "-3"}) {
    EXPECT_EQ(to_string(parse_rational(text)), text);
  }
}

TEST(Rational, RefusesWhatIsNoRateInOneSentence) {
  for (const char* text :
       {"", " ", "fast", "16fps", "1/0", "1/-2", "1/2/3", "/2", "2/", "nan", "inf", "1e300", "0x10",
        " 16", "16 ", "9223372036854775808", "-9223372036854775808", "30000 / 1001"}) {
    try {
      parse_rational(text);
      ADD_FAILURE() << "accepted '" << text << "'";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::Usage) << text;
      EXPECT_NE(std::string(error.what()).find("'" + std::string(text) + "'"), std::string::npos);
    }
  }
}

}  // namespace
}  // namespace sora
