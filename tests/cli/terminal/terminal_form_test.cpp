#include "cli/terminal/terminal_form.h"

#include <gtest/gtest.h>

namespace sora::cli {
namespace {

TEST(TerminalForm, KittySaysThatItTakesGraphics) {
  const TerminalForm form = understood("\x1b_Gi=31;OK\x1b\\\x1b[6;21;9t\x1b[?62;4c", {});
  EXPECT_EQ(form.form, PictureForm::Kitty);
  EXPECT_EQ(form.cell_height, 21);
  EXPECT_EQ(form.cell_width, 9);
}

TEST(TerminalForm, AttributeFourMeansSixels) {
  EXPECT_EQ(understood("\x1b[?62;4;22c", {}).form, PictureForm::Sixel);
  EXPECT_EQ(understood("\x1b[?4c", {}).form, PictureForm::Sixel);
}

TEST(TerminalForm, OtherAttributesMeanHalfBlocks) {
  for (const char* answer : {"\x1b[?62;22c", "\x1b[?44;14c", "\x1b[?6c",
                             "\x1b_Gi=31;ENOTSUP\x1b\\\x1b[?62c", "", "\x1b[?62;4"}) {
    EXPECT_EQ(understood(answer, {}).form, PictureForm::HalfBlocks) << answer;
  }
}

TEST(TerminalForm, AnswersAreWaitedForUpToTheDeviceAttributes) {
  EXPECT_FALSE(is_complete_answer(""));
  EXPECT_FALSE(is_complete_answer("\x1b_Gi=31;OK\x1b\\"));
  EXPECT_FALSE(is_complete_answer("\x1b[?62;4"));
  EXPECT_TRUE(is_complete_answer("\x1b_Gi=31;OK\x1b\\\x1b[?62;4c"));
}

TEST(TerminalForm, CellsOfImpossibleSizesAreNotBelieved) {
  for (const char* answer : {"\x1b[6;0;0t\x1b[?62c", "\x1b[6;9999;10t\x1b[?62c",
                             "\x1b[6;99999999999999;1t\x1b[?62c", "\x1b[6;20t\x1b[?62c"}) {
    EXPECT_EQ(understood(answer, {}).cell_height, TerminalForm().cell_height) << answer;
  }
}

}  // namespace
}  // namespace sora::cli
