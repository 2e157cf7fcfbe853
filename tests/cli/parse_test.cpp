#include "cli/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "cli/description/self_description.h"
#include "lib/core/error.h"

namespace sora::cli {
namespace {

using ::testing::HasSubstr;

std::string usage_error(const std::vector<std::string>& arguments) {
  try {
    parse(arguments);
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Usage);
    return error.what();
  }
  return "no error";
}

MakeClips parse_generate(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "generate");
  return std::get<MakeClips>(parse(arguments).action);
}

TEST(Parse, PromptIsTheOnlyThingNeeded) {
  const MakeClips make = parse_generate({"a red ball"});
  EXPECT_EQ(std::get<GenerateRequest>(make.request.operation).prompt, "a red ball");
  EXPECT_EQ(make.request.runtime.model, "nano");
  EXPECT_FALSE(make.request.sampling.seed.has_value());
}

TEST(Parse, EveryOptionReachesTheRequest) {
  const MakeClips make = parse_generate({"x",
                                         "--size",
                                         "832x480",
                                         "--frames",
                                         "81",
                                         "--fps",
                                         "24000/1001",
                                         "--seed",
                                         "7",
                                         "--steps",
                                         "20",
                                         "--guidance",
                                         "3.5",
                                         "--guidance-2",
                                         "3",
                                         "--negative",
                                         "blur",
                                         "--scheduler",
                                         "euler",
                                         "--shift",
                                         "8",
                                         "-m",
                                         "/models/wan",
                                         "--dtype",
                                         "f32",
                                         "--threads",
                                         "1",
                                         "-o",
                                         "out.webm",
                                         "--codec",
                                         "av1",
                                         "--quality",
                                         "30",
                                         "--force",
                                         "--variations",
                                         "2",
                                         "--save-latents",
                                         "l.safetensors"});
  const Request& request = make.request;
  EXPECT_EQ(request.video.size, (Size{832, 480}));
  EXPECT_EQ(request.video.num_frames, 81);
  EXPECT_EQ(request.video.fps, Rational(24000, 1001));
  EXPECT_EQ(request.sampling.seed, 7u);
  EXPECT_EQ(request.sampling.steps, 20);
  EXPECT_DOUBLE_EQ(*request.sampling.guidance_scale, 3.5);
  EXPECT_DOUBLE_EQ(*request.sampling.guidance_scale_2, 3.0);
  EXPECT_EQ(request.sampling.negative_prompt, "blur");
  EXPECT_EQ(request.sampling.scheduler, "euler");
  EXPECT_DOUBLE_EQ(*request.sampling.shift, 8);
  EXPECT_EQ(request.runtime.model, "/models/wan");
  EXPECT_EQ(request.runtime.dtype, "f32");
  EXPECT_EQ(request.runtime.threads, 1);
  EXPECT_EQ(request.output.path, "out.webm");
  EXPECT_EQ(request.output.codec, "av1");
  EXPECT_EQ(request.output.quality, 30);
  EXPECT_TRUE(request.output.force);
  EXPECT_EQ(request.output.latents_path, "l.safetensors");
  EXPECT_EQ(std::get<GenerateRequest>(request.operation).variations, 2);
}

TEST(Parse, EmptyNegativePromptIsAWishAndNotAnAbsence) {
  EXPECT_EQ(parse_generate({"x", "--negative", ""}).request.sampling.negative_prompt, "");
}

TEST(Parse, UnknownOptionNamesTheNearest) {
  EXPECT_THAT(usage_error({"generate", "x", "--step", "3"}), HasSubstr("did you mean --steps?"));
  EXPECT_THAT(usage_error({"generate", "x", "--gidance=3"}),
              HasSubstr("no option --gidance; did you mean --guidance?"));
}

TEST(Parse, UnknownCommandNamesTheNearest) {
  EXPECT_THAT(usage_error({"genrate", "x"}), HasSubstr("did you mean generate?"));
}

TEST(Parse, UnknownCommandOfACommandSaysWhereToLook) {
  EXPECT_EQ(usage_error({"queue", "bogus"}), "there is no command 'bogus'; see sora queue --help");
  EXPECT_EQ(usage_error({"queue"}), "queue needs a command; see sora queue --help");
}

TEST(Parse, WhatIsNoNumberIsToldWithItsOption) {
  EXPECT_EQ(usage_error({"generate", "x", "--frames", "many"}),
            "--frames takes a number, not 'many'");
  EXPECT_EQ(usage_error({"generate", "x", "--steps", "2.5"}),
            "--steps takes a whole number, not 2.5");
  EXPECT_EQ(usage_error({"generate", "x", "--steps", "99999999999"}),
            "--steps takes no number as large as 99999999999");
}

TEST(Parse, WholeNumbersAreReadInBase10AndByTheirDigitsAlone) {
  EXPECT_EQ(parse_generate({"x", "--steps", "010"}).request.sampling.steps, 10);
  EXPECT_EQ(parse_generate({"x", "--seed", "08"}).request.sampling.seed, 8u);
  EXPECT_EQ(parse_generate({"x", "--seed=000"}).request.sampling.seed, 0u);
  EXPECT_EQ(usage_error({"generate", "x", "--steps", "0x10"}),
            "--steps takes a number, not '0x10'");
  EXPECT_EQ(usage_error({"generate", "x", "--seed", " -5"}), "--seed takes a number, not ' -5'");
  EXPECT_EQ(usage_error({"batch", "x.txt", "--jobs", "2e0"}),
            "--jobs takes a whole number, not 2e0");
  EXPECT_EQ(usage_error({"queue", "add", "--retries", "99999999999999999999", "generate", "x"}),
            "--retries takes no number as large as 99999999999999999999");
  EXPECT_EQ(usage_error({"generate", "x", "--steps=-99999999999"}),
            "--steps takes no number as small as -99999999999");
  EXPECT_EQ(std::get<UseQueue>(parse({"queue", "show", "012"}).action).job, 12);
}

TEST(Parse, MissingValueIsNamedByItsKind) {
  EXPECT_EQ(usage_error({"generate", "x", "--output"}),
            "--output needs a value; write --output FILE");
  EXPECT_EQ(usage_error({"generate", "x", "--duration", "-o", "a.mp4"}),
            "--duration needs a value; write --duration SECONDS");
}

TEST(Parse, SeedIsNeverTakenForAnother) {
  EXPECT_THAT(usage_error({"generate", "x", "--seed", "-1"}), HasSubstr("-1 is no seed"));
  EXPECT_THAT(usage_error({"generate", "x", "--seed", "18446744073709551616"}),
              HasSubstr("seeds go from 0 to 18446744073709551615"));
  EXPECT_EQ(parse_generate({"x", "--seed", "18446744073709551615"}).request.sampling.seed,
            UINT64_MAX);
}

TEST(Parse, WhatWouldCountForNothingIsRefused) {
  EXPECT_THAT(usage_error({"presets", "--json", "export", "film-noir"}),
              HasSubstr("--json is not one of export"));
  EXPECT_THAT(usage_error({"explore", "-o", "site", "export", "gallery:1"}),
              HasSubstr("--output is not one of export"));
  EXPECT_THAT(usage_error({"batch", "--json", "status", "clips"}),
              HasSubstr("--json is not one of status"));
  for (const char* option : {"--strict", "--retries=1", "--shard=0/2", "--name={index}.mp4",
                             "--format=txt", "--watch", "--steps=4"}) {
    EXPECT_THAT(usage_error({"batch", "--resume", "-o", "clips", option}),
                HasSubstr("--resume without a file"))
        << option;
  }
  EXPECT_THAT(usage_error({"batch", "a.txt", "--shard", ""}), HasSubstr("--shard '' is no share"));
  EXPECT_THAT(usage_error({"batch", "a.txt", "--on", ""}), HasSubstr("--on '' is unknown"));
}

TEST(Parse, OptionsOfModelsAreInTheirRanges) {
  EXPECT_THAT(usage_error({"models", "show", "nano", "--frames", "-5"}), HasSubstr("--frames"));
  EXPECT_THAT(usage_error({"models", "pull", "a/b", "--connections", "-3"}),
              HasSubstr("--connections"));
  EXPECT_THAT(usage_error({"models", "list", "--models-dir", "/nowhere"}), HasSubstr("/nowhere"));
}

TEST(Parse, AStreamIsNoPromptOfSeveralRanks) {
  EXPECT_THAT(usage_error({"generate", "-", "--ranks", "2"}), HasSubstr("--ranks"));
}

TEST(Parse, OptionsThatExcludeEachOtherAreBothNamed) {
  EXPECT_EQ(usage_error({"generate", "x", "--turbo", "--no-turbo"}),
            "--turbo and --no-turbo cannot be given together");
}

TEST(Parse, SecondPositionalAsksForQuotes) {
  EXPECT_THAT(usage_error({"generate", "a", "red"}),
              HasSubstr("put a text of several words in quotes"));
}

TEST(Parse, GenerateWithoutPromptShowsHowToGiveOne) {
  EXPECT_THAT(usage_error({"generate"}), HasSubstr("generate needs a prompt"));
}

TEST(Parse, ABlankPromptSaysSomethingOnlyBesideAPictureOrAStyle) {
  EXPECT_THAT(usage_error({"generate", " \t"}), HasSubstr("generate needs a prompt"));
  EXPECT_THAT(usage_error({"generate", ""}), HasSubstr("generate needs a prompt"));
  EXPECT_EQ(usage_error({"generate", "", "--image", "a.png"}), "no error");
  EXPECT_EQ(usage_error({"generate", "", "--preset", "film-noir"}), "no error");
}

TEST(Parse, NamesAreNotEmptyAndTextsMayBe) {
  EXPECT_EQ(usage_error({"generate", "x", "--image", ""}),
            "--image is empty; write --image FILE, or leave it out");
  EXPECT_EQ(usage_error({"generate", "x", "-o", ""}),
            "--output is empty; write --output FILE, or leave it out");
  EXPECT_EQ(usage_error({"info", ""}), "file is empty; write a FILE, or leave it out");
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{"generate", "x", "--models-dir", ""},
                                             {"generate", "x", "--tokenizer", ""},
                                             {"generate", "x", "-m", ""},
                                             {"generate", "x", "--codec", ""},
                                             {"generate", "x", "--plan", ""},
                                             {"queue", "list", "--queue", ""},
                                             {"explore", "clips", "-o", ""}}) {
    EXPECT_THAT(usage_error(arguments), HasSubstr(" is empty; ")) << arguments[2];
  }
  EXPECT_EQ(usage_error({"extend", "a.mp4", "--by", "1", "--prompt", ""}), "no error");
}

TEST(Parse, RecipeTakesNoPromptAndNoSampling) {
  EXPECT_THAT(usage_error({"generate", "x", "--recipe", "a.mp4"}),
              HasSubstr("--recipe brings its own prompt"));
  EXPECT_THAT(usage_error({"generate", "--recipe", "a.mp4", "--steps", "3"}),
              HasSubstr("leave out --steps"));
  EXPECT_EQ(parse_generate({"--recipe", "a.mp4", "-o", "b.mp4"}).recipe, "a.mp4");
}

TEST(Parse, ImpossibleRequestsAreRefusedInOneSentence) {
  EXPECT_THAT(usage_error({"generate", "x", "--size", "832"}), HasSubstr("'832' is not a size"));
  EXPECT_THAT(usage_error({"generate", "x", "--size", "0x480"}),
              HasSubstr("sides go from 16 to 4096"));
  EXPECT_THAT(usage_error({"generate", "x", "--frames", "0"}),
              HasSubstr("0 frames cannot be made"));
  EXPECT_THAT(usage_error({"generate", "x", "--frames", "100000"}),
              HasSubstr("100000 frames cannot be made"));
  EXPECT_THAT(usage_error({"generate", "x", "--duration", "0"}),
              HasSubstr("a duration of 0 s cannot be made"));
  EXPECT_THAT(usage_error({"generate", "x", "--duration", "nan"}),
              HasSubstr("is not a length of time"));
  EXPECT_EQ(parse_generate({"x", "-d", "2.5s"}).request.video.duration_s, 2.5);
  EXPECT_EQ(usage_error({"extend", "a.mp4", "--by", "0s"}),
            "--by 0s adds nothing; write such as --by 3s");
  EXPECT_THAT(usage_error({"generate", "x", "--frames", "5", "--duration", "1"}),
              HasSubstr("both say how long"));
  EXPECT_THAT(usage_error({"generate", "x", "--size", "64x64", "--aspect", "1:1"}),
              HasSubstr("says the size already"));
  EXPECT_THAT(usage_error({"generate", "x", "--resolution", "4k"}),
              HasSubstr("resolutions are 480p, 720p and 1080p"));
  EXPECT_THAT(usage_error({"generate", "x", "--fps", "fast"}), HasSubstr("'fast' is not a rate"));
  EXPECT_THAT(usage_error({"generate", "x", "--steps", "0"}),
              HasSubstr("--steps 0 is out of range"));
  EXPECT_THAT(usage_error({"generate", "x", "--guidance", "-1"}), HasSubstr("out of range"));
  EXPECT_THAT(usage_error({"generate", "x", "--last-image", "b.png"}),
              HasSubstr("--last-image needs --image"));
  EXPECT_THAT(usage_error({"generate", "\xff\xfe"}), HasSubstr("the prompt is not UTF-8"));
  EXPECT_THAT(usage_error({"generate", std::string(100'000, 'a')}),
              HasSubstr("the prompt is 100000 bytes long"));
}

TEST(Parse, HelpAndVersionAreTextAndNoError) {
  EXPECT_THAT(std::get<PrintText>(parse({"--help"}).action).text, HasSubstr("generate"));
  EXPECT_THAT(std::get<PrintText>(parse({}).action).text, HasSubstr("sora generate \"a red ball"));
  EXPECT_THAT(std::get<PrintText>(parse({"generate", "--help"}).action).text,
              HasSubstr("--guidance"));
  EXPECT_THAT(std::get<PrintText>(parse({"--version"}).action).text, HasSubstr("sora "));
}

TEST(SelfDescription, EveryOptionOfGenerateIsInAllThreeCompletionsAndTheManPage) {
  Command chosen;
  const auto app = make_app(chosen);
  for (const char* shell : {"bash", "zsh", "fish"}) {
    const std::string script = completion_script(*app, shell);
    for (const CLI::Option* option : app->get_subcommand("generate")->get_options()) {
      for (const std::string& name : option->get_lnames()) {
        EXPECT_THAT(script, HasSubstr(name)) << shell;
      }
    }
  }
  EXPECT_THAT(man_page(*app), HasSubstr("\\-\\-guidance"));
  const std::string zsh = completion_script(*app, "zsh"), fish = completion_script(*app, "fish");
  EXPECT_THAT(zsh, HasSubstr(":DIR:_files -/'"));
  EXPECT_THAT(zsh, HasSubstr(":MODEL:_files'"));
  EXPECT_THAT(fish, HasSubstr(" -l models-dir -x -a \"(__fish_complete_directories)\""));
  EXPECT_THAT(fish, HasSubstr(" -l tokenizer -r -F"));
}

TEST(SelfDescription, ReferencePageInDocsIsTheOneTheProgramWrites) {
  Command chosen;
  const auto app = make_app(chosen);
  std::ifstream file(std::string(SORA_SOURCE_DIR) + "/docs/cli.md");
  std::stringstream text;
  text << file.rdbuf();
  EXPECT_EQ(text.str(), reference_page(*app))
      << "run: build/sora --generate-reference > docs/cli.md";
}

}  // namespace
}  // namespace sora::cli
