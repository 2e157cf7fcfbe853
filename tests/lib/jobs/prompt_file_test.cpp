#include "lib/jobs/prompt_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sora {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

PromptFile read(std::string_view text, PromptFormat format) {
  return parse_prompts(text, "f", format);
}

const PromptField& field(const PromptEntry& entry, const std::string& name) {
  for (const PromptField& field : entry.fields) {
    if (field.name == name) return field;
  }
  ADD_FAILURE() << "no field " << name;
  static const PromptField none;
  return none;
}

std::string only_fault(std::string_view text, PromptFormat format) {
  const PromptFile file = read(text, format);
  EXPECT_THAT(file.faults, SizeIs(1));
  return file.faults.empty() ? "" : to_string(file.faults.front());
}

TEST(TextPrompts, PromptsCommentsAndOptions) {
  const PromptFile file =
      read("# c\n\n a red ball \r\na star -- --seed 3 --loop --size=4x4\nit's -- --x 'y\n",
           PromptFormat::Text);
  EXPECT_THAT(file.faults, SizeIs(1));
  ASSERT_THAT(file.entries, SizeIs(3));
  EXPECT_EQ(field(file.entries[0], "prompt").value.text, "a red ball");
  EXPECT_EQ(file.entries[0].at, (Place{3, 2}));
  EXPECT_EQ(field(file.entries[1], "prompt").value.text, "a star");
  EXPECT_EQ(field(file.entries[1], "seed").value.text, "3");
  EXPECT_EQ(field(file.entries[1], "seed").at, (Place{4, 11}));
  EXPECT_EQ(field(file.entries[1], "seed").value.at, (Place{4, 18}));
  EXPECT_TRUE(field(file.entries[1], "loop").value.boolean);
  EXPECT_EQ(field(file.entries[1], "size").value.text, "4x4");
  EXPECT_EQ(field(file.entries[1], "size").value.at, (Place{4, 34}));
  EXPECT_EQ(field(file.entries[2], "prompt").value.text, "it's");
}

TEST(TextPrompts, ALineOfOptionsSetsDefaultsForTheLinesAfterIt) {
  const PromptFile file = read("one\n--steps 4\ntwo\n", PromptFormat::Text);
  EXPECT_THAT(file.entries[0].defaults, IsEmpty());
  ASSERT_THAT(file.entries[1].defaults, SizeIs(1));
  EXPECT_EQ(file.entries[1].defaults[0].value.text, "4");
}

TEST(TextPrompts, OperationAndNegativeNumbersAndQuotedWords) {
  const PromptFile file =
      read("dusk -- extend --input 'my clip.mp4' --by -1.5\n", PromptFormat::Text);
  EXPECT_THAT(file.faults, IsEmpty());
  EXPECT_EQ(field(file.entries[0], "operation").value.text, "extend");
  EXPECT_EQ(field(file.entries[0], "input").value.text, "my clip.mp4");
  EXPECT_EQ(field(file.entries[0], "by").value.text, "-1.5");
}

TEST(TextPrompts, ColumnsCountCharacters) {
  const PromptFile file = read("été -- --seed 1\n", PromptFormat::Text);
  EXPECT_EQ(field(file.entries[0], "seed").at, (Place{1, 8}));
}

TEST(JsonLines, ValuesOfEveryKindWithTheirPlaces) {
  const PromptFile file = read(
      "\"just text\"\n{\"prompt\": \"a \\\"b\\\"\", \"seed\": [1, 2],\"fps\":23.976 , "
      "\"loop\":true, \"x\": null}\n",
      PromptFormat::JsonLines);
  EXPECT_THAT(file.faults, IsEmpty());
  EXPECT_EQ(field(file.entries[0], "prompt").value.text, "just text");
  const PromptEntry& entry = file.entries[1];
  EXPECT_EQ(field(entry, "prompt").value.text, "a \"b\"");
  EXPECT_EQ(field(entry, "prompt").value.at, (Place{2, 12}));
  EXPECT_EQ(field(entry, "seed").at, (Place{2, 23}));
  ASSERT_THAT(field(entry, "seed").value.items, SizeIs(2));
  EXPECT_EQ(field(entry, "seed").value.items[1].text, "2");
  EXPECT_EQ(field(entry, "seed").value.items[1].at, (Place{2, 35}));
  EXPECT_EQ(field(entry, "fps").value.text, "23.976");
  EXPECT_EQ(field(entry, "fps").value.at, (Place{2, 44}));
  EXPECT_TRUE(field(entry, "loop").value.boolean);
  EXPECT_EQ(field(entry, "x").value.kind, PromptValue::Kind::Null);
}

TEST(JsonLines, ALargeSeedKeepsItsDigits) {
  const PromptFile file =
      read("{\"prompt\":\"a\",\"seed\":18446744073709551615}\n", PromptFormat::JsonLines);
  EXPECT_EQ(field(file.entries[0], "seed").value.text, "18446744073709551615");
}

TEST(JsonLines, DefaultsHoldForTheLinesAfterThem) {
  const PromptFile file =
      read("{\"defaults\": {\"steps\": 4}}\n{\"prompt\": \"a\"}\n", PromptFormat::JsonLines);
  ASSERT_THAT(file.entries, SizeIs(1));
  ASSERT_THAT(file.entries[0].defaults, SizeIs(1));
  EXPECT_EQ(file.entries[0].defaults[0].name, "steps");
}

TEST(JsonLines, FaultsNameLineAndColumn) {
  EXPECT_THAT(only_fault("{\"prompt\": \"a\"}\n{\"prompt\": }\n", PromptFormat::JsonLines),
              HasSubstr("f:2:12: not JSON"));
  EXPECT_THAT(only_fault("{\"prompt\": {\"a\": 1}}", PromptFormat::JsonLines),
              HasSubstr("f:1:12: 'prompt' is an object"));
  EXPECT_THAT(only_fault("[1]\n", PromptFormat::JsonLines), HasSubstr("not a list"));
  EXPECT_THAT(only_fault("true\n\n", PromptFormat::JsonLines),
              HasSubstr("f:1:1: a line is an object or a text"));
  EXPECT_THAT(only_fault("{\"a\":" + std::string(100, '[') + "\n", PromptFormat::JsonLines),
              HasSubstr("nested too deep"));
}

TEST(CsvPrompts, QuotedCellsHoldCommasQuotesAndLines) {
  const PromptFile file =
      read("prompt,seed,loop\r\n\"a, \"\"b\"\"\nc\",7,true\r\nplain,,\r\n", PromptFormat::Csv);
  EXPECT_THAT(file.faults, IsEmpty());
  ASSERT_THAT(file.entries, SizeIs(2));
  EXPECT_EQ(field(file.entries[0], "prompt").value.text, "a, \"b\"\nc");
  EXPECT_EQ(field(file.entries[0], "seed").value.at, (Place{3, 4}));
  EXPECT_EQ(field(file.entries[0], "loop").value.kind, PromptValue::Kind::Boolean);
  EXPECT_THAT(file.entries[1].fields, SizeIs(1));
}

TEST(CsvPrompts, FaultsNameTheRecord) {
  EXPECT_THAT(only_fault("prompt,seed\na,b,c\n", PromptFormat::Csv),
              HasSubstr("f:2:1: this record has 3 cells and the header 2"));
  EXPECT_THAT(only_fault("prompt\n\"a\n", PromptFormat::Csv),
              HasSubstr("f:2:1: a quote is opened"));
}

TEST(YamlPrompts, ListOfJobsOrDefaultsAndJobs) {
  const PromptFile list = read("- a red ball\n- prompt: b\n  seed: [1, 2]\n", PromptFormat::Yaml);
  EXPECT_THAT(list.faults, IsEmpty());
  ASSERT_THAT(list.entries, SizeIs(2));
  EXPECT_EQ(field(list.entries[1], "seed").value.items[1].at, (Place{3, 13}));
  const PromptFile whole = read("jobs:\n- x\ndefaults:\n  steps: 4\n", PromptFormat::Yaml);
  EXPECT_THAT(whole.faults, IsEmpty());
  EXPECT_EQ(whole.entries[0].defaults[0].value.text, "4");
}

TEST(YamlPrompts, RefusesWhatItDoesNotRead) {
  EXPECT_THAT(only_fault("- &a x\n", PromptFormat::Yaml), HasSubstr("f:1:3: anchors are not read"));
  EXPECT_THAT(only_fault("- prompt: *a\n", PromptFormat::Yaml),
              HasSubstr("f:1:11: aliases are not read"));
  EXPECT_THAT(only_fault("- prompt: [a\n", PromptFormat::Yaml), HasSubstr("not YAML"));
  EXPECT_THAT(only_fault("steps: 3\njobs: [a]\n", PromptFormat::Yaml),
              HasSubstr("f:1:1: 'steps' is neither defaults nor jobs"));
  EXPECT_THAT(only_fault(std::string(100'000, '['), PromptFormat::Yaml),
              HasSubstr("nested too deep"));
}

TEST(PromptFiles, BytesThatAreNoTextAreNamedByLine) {
  EXPECT_THAT(only_fault("ok\nbad \xff\n", PromptFormat::Text),
              HasSubstr("f:2:1: this line is not UTF-8"));
  EXPECT_THAT(read("\xEF\xBB\xBF"
                   "a\n",
                   PromptFormat::Text)
                  .entries[0]
                  .fields[0]
                  .value.text,
              "a");
}

TEST(PromptFiles, FormatFollowsTheNameOrTheFirstBrace) {
  EXPECT_EQ(prompt_format_of("a.csv", ""), PromptFormat::Csv);
  EXPECT_EQ(prompt_format_of("-", " {"), PromptFormat::JsonLines);
  EXPECT_EQ(prompt_format_of("-", "a {"), PromptFormat::Text);
}

}  // namespace
}  // namespace sora
