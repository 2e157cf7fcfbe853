#include "cli/terminal/terminal.h"

#include <gtest/gtest.h>

namespace sora::cli {
namespace {

TEST(Terminal, EscapeSequencesLoseTheirControlCharacter) {
  EXPECT_EQ(printable("\x1b[31mred\x1b[0m"), "?[31mred?[0m");
  EXPECT_EQ(printable("\xc2\x9b"
                      "31m"),
            "?31m");
}

TEST(Terminal, LineBreaksBecomeSpaces) { EXPECT_EQ(printable("a\nb\tc"), "a b c"); }

TEST(Terminal, OtherTextStaysAsItIs) { EXPECT_EQ(printable("红球 ©"), "红球 ©"); }

}  // namespace
}  // namespace sora::cli
