#include "lib/core/ascii.h"

#include <gtest/gtest.h>

namespace sora {
namespace {

TEST(AsciiLower, ChangesCapitalsAlone) {
  EXPECT_EQ(ascii_lower("AZ az 09 [@`{ .SafeTensors"), "az az 09 [@`{ .safetensors");
}

TEST(AsciiLower, LeavesUtf8AsItIs) { EXPECT_EQ(ascii_lower("É球\xc3\x89"), "É球\xc3\x89"); }

}  // namespace
}  // namespace sora
