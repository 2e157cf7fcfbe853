#include "lib/core/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace sora {
namespace {

TEST(Utf8, AcceptsEveryLengthAndTheEndsOfEachRange) {
  for (const char* text :
       {"", "a", "\x7f", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xee\x80\x80",
        "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "红球 🎈 é"}) {
    EXPECT_TRUE(is_valid_utf8(text)) << text;
  }
  EXPECT_TRUE(is_valid_utf8(std::string_view("a\0b", 3)));
}

TEST(Utf8, RefusesOverlongFormsSurrogatesAndWhatLiesBeyondUnicode) {
  for (const char* text : {"\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf",  // overlong
                           "\xed\xa0\x80", "\xed\xbf\xbf",  // surrogates
                           "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff"}) {
    EXPECT_FALSE(is_valid_utf8(text));
  }
}

TEST(Utf8, RefusesCutAndStrayBytes) {
  for (const char* text :
       {"\x80", "a\xbf", "\xc3", "\xe2\x82", "\xf0\x9f\x8e", "\xc3(", "\xe2(\xac", "\xe2\x82("}) {
    EXPECT_FALSE(is_valid_utf8(text));
  }
}

TEST(Utf8, PrefixCutsBetweenCharacters) {
  EXPECT_EQ(utf8_prefix("abc", 3), "abc");
  EXPECT_EQ(utf8_prefix("abc", 2), "ab");
  EXPECT_EQ(utf8_prefix("a\u00e9\u7403\U0001f3a8", 10), "a\u00e9\u7403\U0001f3a8");
  EXPECT_EQ(utf8_prefix("a\u00e9\u7403\U0001f3a8", 9), "a\u00e9\u7403");
  EXPECT_EQ(utf8_prefix("a\u00e9\u7403", 5), "a\u00e9");
  EXPECT_EQ(utf8_prefix("\u7403", 2), "");
}

}  // namespace
}  // namespace sora
