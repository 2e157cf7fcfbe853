#include "lib/pipelines/storyboard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/pipelines/presets.h"
#include "tests/error_of.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

using ::testing::HasSubstr;

std::string input_error(const std::string& text) {
  const Error error = error_of([&] { parse_storyboard(text, "cards.yaml"); });
  EXPECT_EQ(error.kind(), ErrorKind::Input);
  return error.what();
}

TEST(Storyboard, YamlAndJsonSayTheSame) {
  const Storyboard yaml = parse_storyboard(
      "duration: 6\nstyle: ink\ncards:\n  - {at: 0, text: 'a: b', image: x.png}\n  - at: 2.5\n    "
      "for: 1\n    video: y.mp4\n    to: 2\n",
      "a");
  const Storyboard json = parse_storyboard(
      R"( {"duration": 6, "style": "ink", "cards": [{"at": 0, "text": "a: b", "image": "x.png"}, {"at": 2.5, "for": 1, "video": "y.mp4", "to": 2}]})",
      "b");
  for (const Storyboard& board : {yaml, json}) {
    ASSERT_EQ(board.cards.size(), 2u);
    EXPECT_EQ(board.duration_s, 6);
    EXPECT_EQ(board.style, "ink");
    EXPECT_EQ(board.cards[0].text, "a: b");
    EXPECT_EQ(board.cards[0].image, "x.png");
    EXPECT_EQ(board.cards[1].at_s, 2.5);
    EXPECT_EQ(board.cards[1].for_s, 1);
    EXPECT_EQ(board.cards[1].video, "y.mp4");
    EXPECT_EQ(board.cards[1].to_s, 2);
  }
}

TEST(Storyboard, SaysWhichCardIsWrong) {
  EXPECT_THAT(input_error(""), HasSubstr("is empty"));
  EXPECT_THAT(input_error("cards: []"), HasSubstr("no list of 'cards'"));
  EXPECT_THAT(input_error("cards:\n - {at: 0, text: a}\n - {at: 1, txt: b}"),
              HasSubstr("card 2 has an unknown key 'txt'"));
  EXPECT_THAT(input_error("card: []"), HasSubstr("unknown key 'card'"));
  EXPECT_THAT(input_error("cards:\n - {text: a}"), HasSubstr("card 1 does not say when"));
  EXPECT_THAT(input_error("cards:\n - {at: soon, text: a}"), HasSubstr("'at' is not a number"));
  EXPECT_THAT(input_error("cards:\n - {at: -1, text: a}"), HasSubstr("times begin at 0"));
  EXPECT_THAT(input_error("cards:\n - {at: .inf, text: a}"), HasSubstr("'at' is not a number"));
  EXPECT_THAT(input_error("cards:\n - {at: 0}"), HasSubstr("shows nothing"));
  EXPECT_THAT(input_error("cards:\n - {at: 0, text: 5}"), HasSubstr("'text' is not a text"));
  EXPECT_THAT(input_error("cards:\n - {at: 0, image: a, video: b}"),
              HasSubstr("both an image and a video"));
  EXPECT_THAT(input_error("cards:\n - {at: 0, image: a, to: 2}"), HasSubstr("parts of a video"));
  EXPECT_THAT(input_error("cards:\n - {at: 1, text: a}\n - {at: 1, text: b}"),
              HasSubstr("not after the card before"));
  EXPECT_THAT(input_error("cards:\n - {at: 0, for: 2, text: a}\n - {at: 1, text: b}"),
              HasSubstr("before the one before it has ended"));
  EXPECT_THAT(input_error("duration: 1\ncards:\n - {at: 1, text: a}"),
              HasSubstr("ends before the last card"));
  EXPECT_THAT(input_error("cards: [\n"), HasSubstr("is not YAML: line"));
  EXPECT_THAT(input_error("a: &x [*x]"), HasSubstr("anchors and aliases are not taken"));
  EXPECT_THAT(input_error("a: 1\na: 2"), HasSubstr("a key is there twice"));
}

TEST(Storyboard, FilesAreTakenFromItsFolder) {
  const ScratchDirectory folder;
  folder.write("board/a.png", "x");
  const std::string path =
      folder.write("board/cards.yaml", "cards:\n - {at: 0, image: a.png}").string();
  EXPECT_EQ(read_storyboard(path).cards[0].image, (folder / "board/a.png").string());
  const std::string broken =
      folder.write("board/none.yaml", "cards:\n - {at: 0, image: b.png}").string();
  EXPECT_EQ(error_of([&] { read_storyboard(broken); }).kind(), ErrorKind::NotFound);
}

TEST(Yaml, PlainWordsAreValuesAndQuotedOnesText) {
  const nlohmann::json read =
      yaml_to_json("[1, 1.5, -2e3, true, null, ~, '1', \"true\", 1a, inf, nan, 0x10]", "y");
  EXPECT_EQ(read.dump(), R"([1,1.5,-2000.0,true,null,null,"1","true","1a","inf","nan","0x10"])");
}

TEST(Presets, OwnOnesStandBeforeBuiltInOnesAndAreSaidWithThePrompt) {
  const ScratchDirectory folder;
  folder.write("built_in/ink.yaml",
               "description: d\nprompt: ink drawing\nnegative_prompt: colour\n");
  folder.write("built_in/oil.yaml", "prompt: oil painting\n");
  folder.write("own/oil.yaml", "prompt: my oil\n");
  const auto built_in = folder / "built_in", own = folder / "own";
  const std::vector<Preset> presets = list_presets(built_in, own);
  ASSERT_EQ(presets.size(), 2u);
  EXPECT_EQ(presets[1].prompt, "my oil");

  Request request;
  GenerateRequest generate;
  generate.prompt = "a cat";
  generate.preset = "ink";
  request.operation = generate;
  const Request full = with_preset(request, built_in, own);
  EXPECT_EQ(std::get<GenerateRequest>(full.operation).prompt, "a cat, ink drawing");
  EXPECT_EQ(full.sampling.negative_prompt, "colour");
  generate.preset = "water";
  request.operation = generate;
  EXPECT_EQ(error_of([&] { with_preset(request, built_in, own); }).kind(), ErrorKind::NotFound);
  folder.write("own/bad.yaml", "promt: x\n");
  EXPECT_THAT(error_of([&] { list_presets(built_in, own); }).what(),
              HasSubstr("unknown key 'promt'"));
}

TEST(Presets, TheBuiltInOnesAreRead) {
  const std::vector<Preset> presets =
      list_presets(std::filesystem::path(SORA_SOURCE_DIR) / "presets", "/nonexistent");
  EXPECT_GE(presets.size(), 5u);
  for (const Preset& preset : presets) EXPECT_FALSE(preset.description.empty()) << preset.name;
}

}  // namespace
}  // namespace sora
