#include "lib/jobs/name_template.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "lib/jobs/output_folder.h"
#include "tests/error_of.h"

namespace sora {
namespace {

using ::testing::HasSubstr;

TEST(NameTemplate, FillsFieldsAndForms) {
  const std::map<std::string, std::string> fields = {
      {"index", "7"}, {"prompt", "A Red ../ball!"}, {"seed", "12"}};
  EXPECT_EQ(fill_name("{index:03}/{prompt:slug}-{seed}.mp4", fields), "007/a-red-.-ball-12.mp4");
  EXPECT_EQ(fill_name("{{{seed}}}", fields), "{12}");
}

TEST(NameTemplate, UnknownFieldsAndFormsAreNamed) {
  EXPECT_THAT(error_of([] {
                fill_name("{sed}", {{"seed", "1"}});
              }).what(),
              HasSubstr("asks for {sed}, which this job does not have; it has seed"));
  EXPECT_THAT(error_of([] {
                fill_name("{seed:upper}", {{"seed", "1"}});
              }).what(),
              HasSubstr("the form 'upper'"));
  EXPECT_THAT(error_of([] {
                fill_name("{seed", {{"seed", "1"}});
              }).what(),
              HasSubstr("never closed"));
}

TEST(NameTemplate, AWidthIsForNumbers) {
  EXPECT_EQ(fill_name("{seed:04}-{guidance:04}", {{"seed", "12"}, {"guidance", "2.5"}}),
            "0012-02.5");
  EXPECT_EQ(fill_name("{seed:03}", {{"seed", "18446744073709551615"}}), "18446744073709551615");
  for (const char* prompt : {"a/b", "../x", "", "1/2", "-1", "inf", "1e3"}) {
    const Error error = error_of([&] { fill_name("{prompt:03}.mp4", {{"prompt", prompt}}); });
    EXPECT_EQ(error.kind(), ErrorKind::Usage) << prompt;
    EXPECT_THAT(error.what(), HasSubstr("{prompt:03} wants a number")) << prompt;
    EXPECT_THAT(error.what(), HasSubstr("write {prompt}")) << prompt;
  }
}

// Whatever a prompt holds, its part of a name is one plain file name.
TEST(NameTemplate, HundredThousandHostilePromptsStayInsideTheFolder) {
  std::mt19937 random(1);
  const std::string alphabet = std::string("./\\-~ \n\t\0aZ9_:*?\"<>|%", 22) + "\xC3\xA9\x1b";
  for (int round = 0; round < 100'000; ++round) {
    std::string prompt;
    for (size_t length = random() % 80; length > 0; --length)
      prompt += alphabet[random() % alphabet.size()];
    const std::string name = fill_name("{prompt}.mp4", {{"prompt", prompt}});
    ASSERT_NO_THROW(OutputFolder::check_name(name)) << name;
    ASSERT_EQ(name.find('/'), std::string::npos);
    ASSERT_NE(name.front(), '-');
  }
}

}  // namespace
}  // namespace sora
