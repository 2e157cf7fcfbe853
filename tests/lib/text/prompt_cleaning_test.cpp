// Against what prompt_clean of diffusers' Wan pipeline, with ftfy, makes of 200 texts:
// tests/data/tokenizer.
#include "lib/text/prompt_cleaning.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "lib/core/json_file.h"
#include "lib/text/html.h"
#include "lib/text/mojibake.h"
#include "tests/error_of.h"

namespace sora {
namespace {

TEST(PromptCleaning, EqualsDiffusersOnEveryFixtureText) {
  const nlohmann::json fixture =
      read_json_file(std::filesystem::path(SORA_TEST_DATA) / "tokenizer" / "umt5_like.json");
  int num_changed = 0;
  for (const nlohmann::json& entry : fixture.at("texts")) {
    const auto text = entry.at("text").get<std::string>();
    const auto clean = entry.at("clean").get<std::string>();
    EXPECT_EQ(clean_prompt(text), clean) << text;
    num_changed += text != clean;
  }
  EXPECT_GT(num_changed, 50);
}

TEST(PromptCleaning, RefusesTextThatIsNotUtf8) {
  for (const char* text : {"\xff", "a\xc3", "\xed\xa0\x80", "\xf4\x90\x80\x80"}) {
    EXPECT_EQ(error_of([&] { clean_prompt(text); }).kind(), ErrorKind::Usage);
  }
}

TEST(PromptCleaning, KeepsReferencesOfALineThatIsHtmlUntilTheEnd) {
  // ftfy leaves "&eacute;" behind a "<"; the two plain decodings after it do not.
  EXPECT_EQ(clean_prompt("<b>caf&eacute;"), "<b>caf\u00e9");
  EXPECT_EQ(clean_prompt("&amp;amp;amp;lt;"), "<");
}

TEST(PromptCleaning, TakesALongPromptInReasonableTime) {
  std::string text;
  while (text.size() < 60'000) text += "sch\u00c3\u00b6n und &amp; \u201cgut\u201d ";
  EXPECT_EQ(clean_prompt(text).substr(0, 17), "sch\u00f6n und & \"gut");
}

TEST(Html, DecodesEveryNamedReference) {
  EXPECT_EQ(html_entity("eacute;"), "\u00e9");
  EXPECT_EQ(html_entity("CounterClockwiseContourIntegral;"), "\u2233");
  EXPECT_EQ(html_entity("NotEqualTilde;"), "\u2242\u0338");
  EXPECT_FALSE(html_entity("NOTEQUALTILDE;"));
  EXPECT_FALSE(html_entity(""));
}

TEST(Html, FollowsTheStandardWhereThereIsNoSemicolon) {
  EXPECT_EQ(unescape_html("&notit; &notin; &not &x &; & &# &#x &#xZ;"),
            "\u00acit; \u2209 \u00ac &x &; & &# &#x &#xZ;");
  EXPECT_EQ(unescape_html(
                "&#233&#xe9;&#XE9 &#128; &#0; &#xD800; &#x110000; &#1; &#99999999999999999999;"),
            "\u00e9\u00e9\u00e9 \u20ac \ufffd \ufffd \ufffd  \ufffd");
}

TEST(Html, DecodesOnlyCertainReferencesInTextThatMayNotBeHtml) {
  EXPECT_EQ(unescape_certain_html("this&not that &eacute; &EACUTE; &nTILDE; &#xe9; &#12ab;"),
            "this&not that \u00e9 \u00c9 &nTILDE; \u00e9 &#12ab;");
}

TEST(Mojibake, DecodesTextThatWasReadInTheWrongEncoding) {
  EXPECT_EQ(fix_encoding("sch\u00c3\u00b6n"), "sch\u00f6n");
  EXPECT_EQ(fix_encoding("\u00e2\u20ac\u0153like this\u00e2\u20ac\ufffd"), "\u201clike this\ufffd");
  EXPECT_EQ(fix_encoding("voil\u00c3 le travail"), "voil\u00e0 le travail");
  EXPECT_EQ(
      fix_encoding("\u0420\u0457\u0421\u0402\u0420\u0451\u0420\u0406\u0420\u00b5\u0421\u201a"),
      "\u043f\u0440\u0438\u0432\u0435\u0442");
}

TEST(Mojibake, LeavesTextAloneThatSomeoneMeant) {
  for (const char* text :
       {"", "plain", "sch\u00f6n", "\u7ea2\u8272\u7684\u7403", "100 \u20ac \u2014 \u00bd"}) {
    EXPECT_EQ(fix_encoding(text), text);
  }
}

}  // namespace
}  // namespace sora
