#include "lib/gallery/html.h"

#include <gtest/gtest.h>

namespace sora {
namespace {

TEST(HtmlText, MarkupAndQuotesBecomeReferences) {
  EXPECT_EQ(html_text("<a href=\"x\" onclick='y'>&amp;"),
            "&lt;a href=&quot;x&quot; onclick=&#39;y&#39;&gt;&amp;amp;");
}

TEST(HtmlText, ControlsAndDirectionMarksAreMadeVisible) {
  EXPECT_EQ(html_text("a\x1b[31m\x01\x7f\n\t"), "a\uFFFD[31m\uFFFD\uFFFD\n\t");
  EXPECT_EQ(html_text("\u202Eabc\u2069\u0085é"), "\uFFFDabc\uFFFD\uFFFDé");
}

TEST(ScriptData, IsAsciiThatClosesNoScript) {
  EXPECT_EQ(script_data({{"a", "</script>é\u2028"}}), "{\"a\":\"\\u003c/script>\\u00e9\\u2028\"}");
  EXPECT_EQ(script_data("\xff"), "\"\\ufffd\"");
}

TEST(ShellWord, QuotesOnlyWhatNeedsIt) {
  EXPECT_EQ(shell_word("clip-1.mp4"), "clip-1.mp4");
  EXPECT_EQ(shell_word(""), "''");
  EXPECT_EQ(shell_word("a red ball"), "'a red ball'");
  EXPECT_EQ(shell_word("it's $(x) `y` \\"), "'it'\\''s $(x) `y` \\'");
}

TEST(ShellWord, SpellsControlsOut) {
  EXPECT_EQ(shell_word("a\x1b'\\\n"), "$'a\\033\\'\\\\\\012'");
  EXPECT_EQ(shell_word("\u202Eab"), "$'\\342\\200\\256ab'");
}

}  // namespace
}  // namespace sora
