// The tools on small random models: what has to hold whatever a model draws.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/media/sound.h"
#include "lib/media/video_writer.h"
#include "lib/models/registry.h"
#include "lib/models/wan/transformer.h"
#include "lib/pipelines/clip_maker.h"
#include "lib/pipelines/soundtrack.h"
#include "tests/error_of.h"
#include "tests/lib/media/read_clip.h"
#include "tests/lib/pipelines/made_clip.h"
#include "tests/scratch_directory.h"
#include "tests/stand_in_device.h"

namespace sora {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

const std::filesystem::path kModels = std::filesystem::path(SORA_TEST_DATA) / "pipelines";
constexpr int64_t kWidth = 48, kHeight = 32;

// A square that moves over a gradient; frame n differs from every other.
at::Tensor drawn(int64_t num_frames, int shade, int64_t width = kWidth, int64_t height = kHeight) {
  at::Tensor frames = at::empty({num_frames, height, width, 3}, at::kByte);
  for (int64_t f = 0; f < num_frames; ++f) {
    frames[f].copy_(
        at::arange(width).mul(2).add(shade).view({1, width, 1}).expand({height, width, 3}));
    frames[f].slice(0, 8, 16).slice(1, f % (width - 8), f % (width - 8) + 8).fill_(250);
  }
  return frames;
}

class ToolRun : public ::testing::Test {
 protected:
  // Lossless, so that what was written is what is read.
  std::string write(const std::string& name, const at::Tensor& frames_FHWC,
                    Rational fps = Rational(16)) {
    WriterOptions options;
    options.path = (folder_ / name).string();
    options.width = frames_FHWC.size(2);
    options.height = frames_FHWC.size(1);
    options.fps = fps;
    options.codec = name.ends_with(".mkv") ? "ffv1" : "";
    VideoWriter writer(options);
    writer.write(frames_FHWC);
    writer.finish();
    return options.path;
  }

  template <typename Tool>
  Request request(Tool tool, const std::string& model = "i2v") {
    Request request;
    if (tool.prompt.empty()) tool.prompt = "a cat";
    request.operation = tool;
    request.runtime.model = (kModels / model).string();
    request.runtime.dtype = "f32";
    request.sampling.steps = 3;
    request.sampling.guidance_scale = 2.0;
    request.sampling.seed = 5;
    return request;
  }

  struct Made {
    Plan plan;
    at::Tensor frames;
    std::vector<at::Tensor> latents;
  };

  Made make(const Request& request, std::optional<int64_t> max_frames = {}) {
    const c10::InferenceMode inference;
    ModelInfo model = read_model_info("model", request.runtime.model);
    if (max_frames) model.defaults.max_frames = *max_frames;
    Made made;
    made.plan = make_plan(request, model);
    made.plan.device = test_device();
    Observer observer;
    ClipMaker maker(request, model, made.plan, observer);
    MadeClip clip = make_clip(maker, made.plan.seed);
    made.frames = std::move(clip.frames);
    made.latents = std::move(clip.latents);
    return made;
  }

  // As the program itself reads it: y4m and ffv1 pass through YUV once.
  at::Tensor read(const std::string& path) { return read_clip(path).frames_FHWC; }

  ScratchDirectory folder_;
};

TEST_F(ToolRun, ExtendKeepsTheSourceAndAddsFrames) {
  const std::string path = write("a.y4m", drawn(13, 20));
  for (const bool backward : {false, true}) {
    ExtendRequest extend;
    extend.source = path;
    extend.by_s = 0.5;
    extend.backward = backward;
    const Made made = make(request(extend));
    ASSERT_EQ(made.frames.size(0), 21);
    const int64_t start = backward ? 8 : 0;
    EXPECT_TRUE(at::equal(made.frames.slice(0, start, start + 13), read(path)));
    const at::Tensor added = backward ? made.frames.slice(0, 0, 8) : made.frames.slice(0, 13);
    EXPECT_GT(added.to(at::kFloat).std().item<double>(), 1.0);
  }
}

TEST_F(ToolRun, AnotherRateAndSizeStillKeepTheSource) {
  const std::string path = write("a.y4m", drawn(30, 20, 70, 50), Rational(30));
  ExtendRequest extend;
  extend.source = path;
  extend.by_s = 0.4;
  const Made made = make(request(extend));
  EXPECT_EQ(made.plan.output_size, (Size{70, 50}));
  ASSERT_EQ(made.frames.size(0), 42);
  EXPECT_TRUE(at::equal(made.frames.slice(0, 0, 30), read(path)));
}

TEST_F(ToolRun, ManyWindowsGiveEveryFrameOnce) {
  const std::string path = write("a.y4m", drawn(9, 20));
  ExtendRequest extend;
  extend.source = path;
  extend.by_s = 2;
  for (const bool backward : {false, true}) {
    extend.backward = backward;
    const Made made = make(request(extend), 17);
    EXPECT_EQ(made.frames.size(0), 41);
    EXPECT_EQ(made.latents.size(), made.plan.windows.size());
    EXPECT_GT(made.latents.size(), 2u);
    EXPECT_TRUE(
        at::equal(backward ? made.frames.slice(0, 32) : made.frames.slice(0, 0, 9), read(path)));
  }
}

TEST_F(ToolRun, RecutMovesRangesAndDrawsTheRest) {
  const std::string path = write("a.y4m", drawn(32, 20));
  RecutRequest recut;
  recut.source = path;
  recut.keep = {{0.5, 1}, {0, 0.25}};
  recut.at_s = {0, 1};
  recut.duration_s = 1.5;
  const Made made = make(request(recut));
  ASSERT_EQ(made.frames.size(0), 24);
  const at::Tensor source = read(path);
  EXPECT_TRUE(at::equal(made.frames.slice(0, 0, 8), source.slice(0, 8, 16)));
  EXPECT_TRUE(at::equal(made.frames.slice(0, 16, 20), source.slice(0, 0, 4)));

  recut = {};
  recut.source = path;
  recut.drop = {{0.5, 1}};
  const Made redrawn = make(request(recut));
  ASSERT_EQ(redrawn.frames.size(0), 32);
  EXPECT_TRUE(at::equal(redrawn.frames.slice(0, 0, 8), source.slice(0, 0, 8)));
  EXPECT_TRUE(at::equal(redrawn.frames.slice(0, 16, 32), source.slice(0, 16, 32)));
  EXPECT_FALSE(at::equal(redrawn.frames.slice(0, 8, 16), source.slice(0, 8, 16)));
}

TEST_F(ToolRun, RangesOutsideOrCrossingAreRefused) {
  const std::string path = write("a.y4m", drawn(16, 20));
  RecutRequest recut;
  recut.source = path;
  recut.keep = {{0.5, 1.5}};
  EXPECT_THAT(error_of([&] { make(request(recut)); }).what(), HasSubstr("goes past the end"));
  recut.keep = {{0, 0.5}, {0.5, 1}};
  recut.at_s = {0, 0.25};
  EXPECT_THAT(error_of([&] { make(request(recut)); }).what(), HasSubstr("cross at 0.25 s"));
  recut.at_s = {};
  recut.duration_s = 0.5;
  EXPECT_THAT(error_of([&] { make(request(recut)); }).what(),
              HasSubstr("ends before the last kept range"));
  LoopRequest loop;
  loop.source = path;
  loop.to_s = 3;
  EXPECT_THAT(error_of([&] { make(request(loop)); }).what(), HasSubstr("is no part of"));
}

TEST_F(ToolRun, SourcesThatShowNoMotionOrNothingAreRefused) {
  ExtendRequest extend;
  extend.source = write("one.y4m", drawn(1, 20));
  extend.by_s = 1;
  const Error one = error_of([&] { make(request(extend)); });
  EXPECT_EQ(one.kind(), ErrorKind::Input);
  EXPECT_THAT(one.what(), HasSubstr("has one frame, which shows no motion to extend"));
  extend.source = write("eight.y4m", drawn(8, 20));
  Request slow = request(extend);
  slow.video.fps = Rational(1);
  EXPECT_THAT(error_of([&] { make(slow); }).what(), HasSubstr("has one frame at 1 a second"));
  extend.source = folder_.write("text.mp4", "no video").string();
  EXPECT_EQ(error_of([&] { make(request(extend)); }).kind(), ErrorKind::Input);
  extend.source = (folder_ / "none.mp4").string();
  EXPECT_EQ(error_of([&] { make(request(extend)); }).kind(), ErrorKind::NotFound);
}

TEST_F(ToolRun, LoopAddsABridgeOfTheLengthAsked) {
  const std::string path = write("a.y4m", drawn(16, 20));
  LoopRequest loop;
  loop.source = path;
  const Made made = make(request(loop));
  ASSERT_EQ(made.frames.size(0), 16 + 32);
  EXPECT_TRUE(at::equal(made.frames.slice(0, 0, 16), read(path)));
}

TEST_F(ToolRun, ACircleHasWholeLatentFrames) {
  GenerateRequest generate;
  generate.loop = true;
  Request wish = request(generate, "t2v_unipc");
  wish.video.size = Size{kWidth, kHeight};
  wish.video.num_frames = 17;
  const Made made = make(wish);
  EXPECT_EQ(made.frames.size(0), 16);
  EXPECT_EQ(made.latents[0].size(2), 4);
}

double mean_difference(const at::Tensor& a, const at::Tensor& b) {
  return (a.to(at::kFloat) - b.to(at::kFloat)).abs().mean().item<double>();
}

// The weaker the remix, the nearer to the source's own way through the VAE.
TEST_F(ToolRun, RemixFollowsTheSourceByStrength) {
  const std::string path = write("a.y4m", drawn(9, 20));
  RemixRequest remix;
  remix.source = path;
  remix.strength = "0";
  Request wish = request(remix);
  wish.sampling.steps = 12;
  const Made none = make(wish);
  ASSERT_EQ(none.frames.size(0), 9);
  std::vector<double> distances;
  for (const char* strength : {"0.02", "subtle", "strong", "1"}) {
    std::get<RemixRequest>(wish.operation).strength = strength;
    distances.push_back(mean_difference(make(wish).latents[0], none.latents[0]));
  }
  EXPECT_GT(distances[0], 0);
  EXPECT_LT(distances[0], distances[1]);
  EXPECT_LT(distances[1], distances[2]);
  EXPECT_LT(distances[2], distances[3]);
}

// A model of few steps has no level of its own near most strengths.
TEST_F(ToolRun, AStrengthIsThatOfFewStepsToo) {
  RemixRequest remix;
  remix.source = write("a.y4m", drawn(9, 20));
  Request wish = request(remix);
  wish.sampling.steps = 2;
  std::vector<at::Tensor> latents;
  for (const char* strength : {"0", "subtle", "mild"}) {
    std::get<RemixRequest>(wish.operation).strength = strength;
    const Made made = make(wish);
    EXPECT_EQ(made.plan.steps_sampled > 0, latents.size() > 0);
    latents.push_back(made.latents[0]);
  }
  EXPECT_GT(mean_difference(latents[1], latents[0]), 0);
  EXPECT_GT(mean_difference(latents[2], latents[1]), 0);
}

class EditRun : public ToolRun {
 protected:
  Request edit(const std::string& method) {
    RemixRequest remix;
    remix.source = write(method + ".y4m", drawn(9, 20));
    remix.source_prompt = "a dog";
    remix.method = method;
    remix.strength = "strong";
    return request(remix, "t2v_two_experts");
  }
};

TEST_F(EditRun, EachExpertHasItsOwnGuidance) {
  for (const char* method : {"flowedit", "flowalign"}) {
    Request wish = edit(method);
    const at::Tensor one = make(wish).latents[0];
    wish.sampling.guidance_scale_2 = 6.0;
    EXPECT_FALSE(at::equal(make(wish).latents[0], one)) << method;
  }
}

TEST_F(EditRun, ANegativePromptThatIsNotLookedAtIsToldOf) {
  for (const char* method : {"flowedit", "flowalign"}) {
    Request wish = edit(method);
    wish.sampling.negative_prompt = "blurry";
    const Plan plan = make_plan(wish, read_model_info("model", wish.runtime.model));
    const bool is_told = std::any_of(
        plan.notices.begin(), plan.notices.end(),
        [](const std::string& notice) { return notice.find("negative") != notice.npos; });
    EXPECT_EQ(is_told, std::string(method) == "flowalign");
  }
}

TEST_F(ToolRun, LatentsOfAClipOfWhichNothingIsDrawnAreRefused) {
  RecutRequest recut;
  recut.source = write("a.y4m", drawn(16, 20));
  recut.keep = {{0, 0.5}};
  Request wish = request(recut);
  wish.output.latents_path = "none.safetensors";
  const Error error =
      error_of([&] { make_plan(wish, read_model_info("model", wish.runtime.model)); });
  EXPECT_EQ(error.kind(), ErrorKind::Usage);
  EXPECT_THAT(error.what(), HasSubstr("--save-latents"));
}

// Of a model whose image encoder looks at pictures.
TEST_F(ToolRun, PicturesThatAModelNeedsAreMissedBeforeTheRun) {
  const auto missed = [&](const auto& tool, const char* name) -> std::string {
    const Request wish = request(tool, name);
    const ModelInfo model = read_model_info("model", wish.runtime.model);
    const Plan plan = make_plan(wish, model);
    try {
      check_pictures(wish, model, plan);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::Usage);
      return error.what();
    }
    return "";
  };
  GenerateRequest generate;
  EXPECT_THAT(missed(generate, "i2v_clip"), HasSubstr("give --image"));
  generate.loop = true;
  EXPECT_THAT(missed(generate, "i2v_clip"), HasSubstr("of which --loop has none"));
  generate.loop = false;
  generate.image = write("first.png", drawn(1, 20));
  EXPECT_EQ(missed(generate, "i2v_clip"), "");
  EXPECT_THAT(missed(generate, "flf2v_clip"), HasSubstr("give --image and --last-image"));
  generate.last_image = generate.image;
  EXPECT_EQ(missed(generate, "flf2v_clip"), "");
  EXPECT_EQ(missed(GenerateRequest{}, "i2v"), "");

  GenerateRequest board;
  board.storyboard =
      folder_.write("cards.yaml", "cards:\n - {at: 0, text: a cat}\n - {at: 1, text: a dog}\n")
          .string();
  EXPECT_THAT(missed(board, "i2v_clip"), HasSubstr("give the storyboard a card with an image"));

  RemixRequest remix;
  remix.source = write("a.y4m", drawn(9, 20));
  EXPECT_THAT(missed(remix, "i2v_clip"), HasSubstr("of which this remix has none"));
  ExtendRequest extend;
  extend.source = remix.source;
  extend.by_s = 12;
  EXPECT_EQ(missed(extend, "i2v_clip"), "");
  extend.backward = true;
  EXPECT_EQ(missed(extend, "flf2v_clip"), "");
}

// At 16 frames a second of 24 the last canvas frame lies half a frame after the source's last one.
TEST_F(ToolRun, ASourceIsFollowedToItsEndAtAnotherRate) {
  const at::Tensor source = drawn(8, 20);
  const at::Tensor shown = source.index_select(0, at::tensor({0, 1, 3, 4, 6, 7}));
  RemixRequest remix;
  remix.strength = "0";
  remix.source = write("a.mkv", source, Rational(24));
  const at::Tensor followed = make(request(remix)).latents[0];
  remix.source = write("shown.mkv", shown);
  const at::Tensor wanted = make(request(remix)).latents[0];
  EXPECT_GT(wanted.select(2, 2).abs().mean().item<double>(), 0.1);
  EXPECT_LT((followed - wanted).abs().max().item<double>(), 1e-4);
}

TEST_F(ToolRun, WhatIsKeptToItsEndLeavesNoFrameToDrawAtAnotherRate) {
  const auto free_of = [&](const auto& tool) {
    const Request wish = request(tool);
    const Plan plan = make_plan(wish, read_model_info("model", wish.runtime.model));
    std::vector<Stretch> known;
    const Canvas canvas = make_canvas(plan);
    for (const Canvas::Known& each : canvas.known()) known.push_back(each.frames);
    const std::vector<Stretch> free = free_stretches(known, plan.canvas_frames);
    EXPECT_EQ(plan.windows.empty(), free.empty());
    return free;
  };
  const std::string path = write("a.mkv", drawn(60, 20), Rational(30));
  RecutRequest recut;
  recut.source = path;
  recut.keep = {{0, 1.5}};
  EXPECT_THAT(free_of(recut), IsEmpty());
  recut.keep = {{0, 0.5}, {1, 1.5}};
  recut.at_s = {0, 0.5};
  EXPECT_THAT(free_of(recut), IsEmpty());
  recut.keep.clear();
  recut.at_s.clear();
  recut.drop = {{0.5, 1}};
  EXPECT_THAT(free_of(recut), ElementsAre(Stretch{8, 16}));
  LoopRequest loop;
  loop.source = path;
  EXPECT_THAT(free_of(loop), ElementsAre(Stretch{32, 64}));
  ExtendRequest extend;
  extend.source = path;
  extend.by_s = 1;
  extend.backward = true;
  EXPECT_THAT(free_of(extend), ElementsAre(Stretch{0, 16}));
}

TEST_F(ToolRun, EditMethodsKeepASourceThatIsToStayAsItIs) {
  const std::string path = write("a.y4m", drawn(9, 20));
  RemixRequest remix;
  remix.source = path;
  remix.prompt = "a cat";
  remix.strength = "0";
  const at::Tensor source = make(request(remix)).latents[0];
  remix.source_prompt = "a cat";
  remix.strength = "strong";
  for (const char* method : {"flowedit", "flowalign"}) {
    remix.method = method;
    Request wish = request(remix);
    wish.sampling.guidance_scale = 1.0 / 2.7;  // both velocities are the text's own then
    wish.sampling.negative_prompt = "a cat";
    const at::Tensor edited = make(wish).latents[0];
    EXPECT_LT(((edited - source).norm() / source.norm()).item<double>(), 1e-3) << method;
  }
}

TEST_F(ToolRun, BlendKeepsBothEndsOfATransition) {
  const std::string a = write("a.y4m", drawn(16, 20)), b = write("b.y4m", drawn(16, 120));
  BlendRequest blend;
  blend.source = a;
  blend.second = b;
  const Made made = make(request(blend));
  ASSERT_EQ(made.frames.size(0), 32);
  EXPECT_TRUE(at::equal(made.frames.slice(0, 0, 8), read(a).slice(0, 0, 8)));
  EXPECT_TRUE(at::equal(made.frames.slice(0, 24), read(b).slice(0, 8)));
}

TEST_F(ToolRun, AMixIsEachSourceWhereTheCurveIsAtItsEnds) {
  const std::string a = write("a.y4m", drawn(17, 20)), b = write("b.y4m", drawn(17, 120));
  RemixRequest as_it_is;
  as_it_is.strength = "0";
  as_it_is.source = a;
  const at::Tensor of_a = make(request(as_it_is)).latents[0];
  as_it_is.source = b;
  const at::Tensor of_b = make(request(as_it_is)).latents[0];
  BlendRequest blend;
  blend.source = a;
  blend.second = b;
  blend.mode = "mix";
  blend.curve = parse_curve("0:0,0.3:0,0.7:1,1:1");
  const at::Tensor mixed = make(request(blend)).latents[0];
  EXPECT_LT((mixed.slice(2, 0, 1) - of_a.slice(2, 0, 1)).abs().max().item<double>(), 1e-3);
  EXPECT_LT((mixed.slice(2, 4, 5) - of_b.slice(2, 4, 5)).abs().max().item<double>(), 1e-3);
}

// A plain text-to-video model is held to what is known: its known latents come out as they went in.
TEST_F(ToolRun, ATextToVideoModelIsHeldToKnownFrames) {
  const std::string path = write("a.y4m", drawn(13, 20));
  RemixRequest as_it_is;
  as_it_is.source = path;
  as_it_is.strength = "0";
  const at::Tensor source = make(request(as_it_is, "t2v_unipc")).latents[0];
  ExtendRequest extend;
  extend.source = path;
  extend.by_s = 0.25;
  const Made made = make(request(extend, "t2v_unipc"));
  EXPECT_LT((made.latents[0].slice(2, 0, 4) - source.slice(2, 0, 4)).abs().max().item<double>(),
            1e-3);
  EXPECT_TRUE(at::equal(made.frames.slice(0, 0, 13), read(path)));
}

TEST_F(ToolRun, TokenTimestepsTakeKnownFramesAnywhere) {
  const std::string path = write("a.y4m", drawn(13, 20));
  ExtendRequest extend;
  extend.source = path;
  extend.by_s = 0.25;
  extend.backward = true;
  Request wish = request(extend, "ti2v");
  wish.video.fps = Rational(24);
  const Made made = make(wish);
  EXPECT_EQ(made.frames.size(0), read_clip(path, {.fps = Rational(24)}).num_frames() + 6);
}

TEST_F(ToolRun, StoryboardsShowTheirCards) {
  const at::Tensor shown = drawn(16, 20);
  write("b.y4m", shown);
  const std::string board = folder_
                                .write("cards.yaml",
                                       "duration: 2.5\ncards:\n - {at: 0, for: 0.5, text: a cat}\n "
                                       "- {at: 0.5, text: a dog}\n"
                                       " - {at: 1.25, video: b.y4m, from: 0.25, to: 1}\n")
                                .string();
  GenerateRequest generate;
  generate.storyboard = board;
  Request wish = request(generate);
  std::get<GenerateRequest>(wish.operation).prompt = "";
  wish.video.size = Size{kWidth, kHeight};
  const Made made = make(wish);
  ASSERT_EQ(made.frames.size(0), 40);
  EXPECT_TRUE(
      at::equal(made.frames.slice(0, 20, 32), read((folder_ / "b.y4m").string()).slice(0, 4, 16)));
  ASSERT_EQ(made.plan.layout.prompts.size(), 2u);
  EXPECT_EQ(made.plan.layout.cuts, std::vector<int64_t>{8});
  EXPECT_EQ(made.plan.windows.front().sees, (Stretch{0, 8}));
}

// What a shaper makes of canvas frames of even colour, `shade` of each.
template <typename Shade>
at::Tensor shaped(const Plan& plan, const Shade& shade) {
  std::vector<at::Tensor> chunks;
  const TakeFrames take = [&](const at::Tensor& frames) { chunks.push_back(frames.clone()); };
  OutputShaper shaper(plan, take);
  for (int64_t frame = 0; frame < plan.canvas_frames; ++frame) {
    shaper.push(
        at::full({1, plan.canvas_size.height, plan.canvas_size.width, 3}, shade(frame), at::kByte));
  }
  shaper.finish();
  return at::cat(chunks);
}

class BoardRun : public ToolRun {
 protected:
  Request of_board(const std::string& cards, Rational fps, double duration_s = 2) {
    GenerateRequest generate;
    generate.storyboard = folder_.write("cards.yaml", "cards:\n" + cards).string();
    Request wish = request(generate, "t2v_unipc");
    wish.video = {.size = Size{kWidth, kHeight}, .duration_s = duration_s, .fps = fps};
    return wish;
  }
  Plan plan_of(const Request& request) {
    return make_plan(request, read_model_info("model", request.runtime.model));
  }
  const std::string kTwoScenes = " - {at: 0, for: 1, text: a cat}\n - {at: 1, text: a dog}\n";
};

TEST_F(BoardRun, ACutStaysOneAtAnotherRate) {
  for (const int fps : {12, 30}) {
    const Plan plan = plan_of(of_board(kTwoScenes, Rational(fps)));
    const int64_t cut = canvas_frame_of(plan, fps);
    const at::Tensor frames = shaped(plan, [&](int64_t frame) { return frame < cut ? 10 : 200; });
    ASSERT_EQ(frames.size(0), 2 * fps);
    EXPECT_EQ(frames.slice(0, 0, fps).max().item<int>(), 10) << fps;
    EXPECT_EQ(frames.slice(0, fps).min().item<int>(), 200) << fps;
  }
}

TEST_F(BoardRun, OnlyWindowsThatOverlapAreToldOf) {
  const auto told = [](const Plan& plan) {
    return std::count_if(plan.notices.begin(), plan.notices.end(), [](const std::string& notice) {
      return notice.find("overlapping windows") != notice.npos;
    });
  };
  const Plan scenes = plan_of(of_board(kTwoScenes, Rational(16)));
  EXPECT_EQ(scenes.windows.size(), 2u);
  EXPECT_EQ(told(scenes), 0);
  EXPECT_EQ(told(plan_of(of_board(kTwoScenes, Rational(16), 20))), 1);
}

TEST_F(BoardRun, CardsWithoutAFrameOfTheirOwnAreNamed) {
  write("v.y4m", drawn(16, 20));
  write("p.png", drawn(1, 20));
  const auto refusal_of = [&](const std::string& cards, int fps) {
    const Error error = error_of([&] { plan_of(of_board(cards, Rational(fps))); });
    EXPECT_EQ(error.kind(), ErrorKind::Input);
    return std::string(error.what());
  };
  EXPECT_THAT(refusal_of(" - {at: 0, text: a cat}\n - {at: 1, for: 0.01, video: v.y4m}\n", 16),
              HasSubstr("the card at 1 s shows"));
  EXPECT_THAT(refusal_of(" - {at: 0.95, image: p.png}\n - {at: 1, image: p.png}\n", 30),
              HasSubstr("the cards at 0.95 s and 1 s fall on one frame of the 16 a second"));
  plan_of(of_board(" - {at: 0.9, image: p.png}\n - {at: 1, image: p.png}\n", Rational(30)));
}

TEST_F(BoardRun, CardsThatTouchInTimeTouchInFrames) {
  write("v.y4m", drawn(16, 20));
  write("s.y4m", drawn(6, 20));
  for (const char* first : {"{at: 0.4, for: 0.4, video: v.y4m}", "{at: 0.4, to: 0.4, video: v.y4m}",
                            "{at: 0.4, for: 0.4, video: s.y4m}"}) {
    const Plan plan = plan_of(
        of_board(fmt::format(" - {}\n - {{at: 0.8, video: v.y4m}}\n", first), Rational(16)));
    ASSERT_EQ(plan.layout.kept.size(), 2u);
    EXPECT_EQ(plan.layout.kept[0].frames, (Stretch{6, 13})) << first;
    EXPECT_EQ(plan.layout.kept[1].frames, (Stretch{13, 29})) << first;
  }
  const Plan plan = plan_of(
      of_board(" - {at: 0, for: 1, video: s.y4m}\n - {at: 1, text: a cat}\n", Rational(16)));
  EXPECT_EQ(plan.layout.kept[0].frames, (Stretch{0, 6}));
}

TEST_F(ToolRun, PicturesAreTheirFramesAtAnotherRate) {
  GenerateRequest generate;
  generate.image = write("first.png", drawn(1, 20));
  generate.last_image = write("last.png", drawn(1, 120));
  Request wish = request(generate);
  wish.video = {.size = Size{kWidth, kHeight}, .duration_s = 1, .fps = Rational(30)};
  const Plan plan = make_plan(wish, read_model_info("model", wish.runtime.model));
  const at::Tensor frames = shaped(plan, [](int64_t frame) { return 10 + frame; });
  EXPECT_TRUE(at::equal(frames[0], read(generate.image)[0]));
  EXPECT_TRUE(at::equal(frames[29], read(generate.last_image)[0]));
  EXPECT_EQ(frames[28].min().item<int>(), frames[28].max().item<int>());
}

TEST_F(ToolRun, FramesAtAnotherRateFollowTheMotionWithoutAGhost) {
  constexpr int64_t kSide = 96, kDisc = 24;
  Request wish = request(GenerateRequest{}, "t2v_unipc");
  wish.video = {.size = Size{kSide, kSide}, .num_frames = 26, .fps = Rational(32)};
  const Plan plan = make_plan(wish, read_model_info("model", wish.runtime.model));
  ASSERT_TRUE(moves_between_frames(plan));
  const auto drawn_at = [](double position) {
    at::Tensor frame = at::full({kSide, kSide, 3}, 40, at::kByte);
    const auto left = static_cast<int64_t>(position * 4);
    frame.slice(0, 32, 32 + kDisc).slice(1, left, left + kDisc).fill_(220);
    return frame;
  };
  std::vector<at::Tensor> made;
  const TakeFrames take = [&](const at::Tensor& frames) { made.push_back(frames.clone()); };
  OutputShaper shaper(plan, take);
  for (int64_t frame = 0; frame < plan.canvas_frames; ++frame)
    shaper.push(drawn_at(static_cast<double>(frame)).unsqueeze(0));
  shaper.finish();
  const at::Tensor frames = at::cat(made).to(at::kFloat);
  for (const int64_t frame : {9, 11, 13}) {
    const double wrong = mean_difference(frames[frame], drawn_at(frame / 2.0).to(at::kFloat));
    const double ghost = mean_difference((frames[frame - 1] + frames[frame + 1]) / 2,
                                         drawn_at(frame / 2.0).to(at::kFloat));
    EXPECT_LT(wrong, ghost / 2) << frame;
  }
}

TEST_F(ToolRun, PicturesAreAsSharpAsTheyAreInALargerOutput) {
  GenerateRequest generate;
  generate.image = write("first.png", drawn(1, 20, 2 * kWidth, 2 * kHeight));
  generate.last_image = write("last.png", drawn(1, 120, 2 * kWidth, 2 * kHeight));
  Request wish = request(generate);
  wish.video = {.size = Size{2 * kWidth, 2 * kHeight}, .num_frames = 17};
  ModelInfo model = read_model_info("model", wish.runtime.model);
  model.defaults.max_pixels = kWidth * kHeight;
  for (const int fps : {16, 30}) {
    wish.video.fps = Rational(fps);
    const Plan plan = make_plan(wish, model);
    ASSERT_TRUE(plan.scaled);
    const at::Tensor frames = shaped(plan, [](int64_t frame) { return 10 + frame; });
    EXPECT_TRUE(at::equal(frames[0], read(generate.image)[0])) << fps;
    EXPECT_TRUE(at::equal(frames[16], read(generate.last_image)[0])) << fps;
    EXPECT_EQ(frames[1].min().item<int>(), frames[1].max().item<int>());
  }
}

TEST_F(ToolRun, WhatIsShownGivesTheClipItsShape) {
  const ModelInfo model = read_model_info("model", kModels / "i2v");
  const auto size_of = [&](const auto& tool, const VideoSpec& video = {}) {
    Request wish = request(tool);
    wish.video = video;
    return make_layout(wish, model).size;
  };
  ExtendRequest extend;
  extend.by_s = 1;
  extend.source = write("tall.y4m", drawn(9, 20, 36, 64));
  EXPECT_EQ(size_of(extend, {.resolution = "720p"}), (Size{720, 1280}));
  EXPECT_EQ(size_of(extend, {.resolution = "720p", .aspect = "16:9"}), (Size{1280, 720}));
  EXPECT_EQ(size_of(extend), (Size{36, 64}));
  extend.source = write("four-thirds.y4m", drawn(9, 20, 64, 48));
  EXPECT_EQ(size_of(extend, {.resolution = "480p"}), (Size{854, 480}));

  const Size own{model.defaults.width, model.defaults.height};
  GenerateRequest generate;
  EXPECT_EQ(size_of(generate), own);
  EXPECT_EQ(size_of(generate, {.resolution = "480p"}), (Size{854, 480}));
  generate.image = write("wide.png", drawn(1, 20, 128, 72));
  EXPECT_EQ(size_of(generate), own);
  generate.image = write("tall.png", drawn(1, 20, 72, 128));
  EXPECT_EQ(size_of(generate, {.resolution = "480p"}), (Size{480, 854}));
  EXPECT_EQ(size_of(generate, {.size = own}), own);
  const Size tall = size_of(generate);
  EXPECT_NEAR(static_cast<double>(tall.width * tall.height),
              static_cast<double>(own.width * own.height),
              0.05 * static_cast<double>(own.width * own.height));
  EXPECT_NEAR(static_cast<double>(tall.width) / static_cast<double>(tall.height), 9.0 / 16, 0.03);
}

// Models that know whole latent frames are told of a last picture as well.
TEST_F(ToolRun, ALastPictureIsDrawnTowards) {
  GenerateRequest generate;
  generate.image = write("first.png", drawn(1, 20));
  for (const char* model : {"ti2v", "t2v_unipc"}) {
    std::vector<at::Tensor> latents;
    for (const int shade : {60, 150}) {
      generate.last_image = write(fmt::format("{}-{}.png", model, shade), drawn(1, shade));
      Request wish = request(generate, model);
      wish.video = {.size = Size{64, 64}, .num_frames = 9};
      const Made made = make(wish);
      ASSERT_EQ(made.frames.size(0), 9);
      latents.push_back(made.latents[0]);
    }
    EXPECT_TRUE(at::equal(latents[0].select(2, 0), latents[1].select(2, 0))) << model;
    for (const int64_t frame : {1, 2}) {
      const at::Tensor one = latents[0].select(2, frame), other = latents[1].select(2, frame);
      EXPECT_GT(mean_difference(one, other), 0) << model << " " << frame;
    }
  }
}

TEST_F(ToolRun, AnEvenClipThatIsOnlyKeptIsNoFaultOfTheModel) {
  for (const int fps : {16, 30}) {
    RecutRequest recut;
    recut.source = write(fmt::format("black-{}.mkv", fps),
                         at::zeros({fps, kHeight, kWidth, 3}, at::kByte), Rational(fps));
    recut.keep = {{0, 0.5}};
    EXPECT_EQ(make(request(recut)).frames.max().item<int>(), 0);
  }
}

TEST_F(ToolRun, RangesThatTouchInTimeTouchInFrames) {
  RecutRequest recut;
  recut.source = write("a.y4m", drawn(48, 20));
  recut.keep = {{0.53, 1.06}, {2, 3}};
  recut.at_s = {0, 0.53};
  const auto layout_of = [&] {
    return make_layout(request(recut), read_model_info("model", kModels / "i2v"));
  };
  const Layout both = layout_of();
  EXPECT_EQ(both.kept[0].frames, (Stretch{0, 8}));
  EXPECT_EQ(both.kept[1].frames, (Stretch{8, 24}));
  recut.keep = {{0.53, 1.06}};
  recut.at_s = {0};
  recut.duration_s = 0.53;
  EXPECT_EQ(layout_of().num_frames, 8);
}

TEST_F(ToolRun, WorkIsThatOfAllClipsFromTheStrengthOn) {
  RemixRequest remix;
  remix.source = write("a.y4m", drawn(9, 20));
  remix.strength = "1";
  Request wish = request(remix);
  wish.sampling.steps = 20;
  const ModelInfo model = read_model_info("model", wish.runtime.model);
  const auto work = [&] { return sampling_flops(model, make_plan(wish, model)); };
  const double whole = work();
  std::get<RemixRequest>(wish.operation).variations = 3;
  EXPECT_DOUBLE_EQ(work(), 3 * whole);
  std::get<RemixRequest>(wish.operation) = remix;
  std::get<RemixRequest>(wish.operation).prompt = "a cat";
  std::get<RemixRequest>(wish.operation).strength = "0.5";
  EXPECT_LT(work(), 0.9 * whole);
  std::get<RemixRequest>(wish.operation).strength = "0";
  EXPECT_EQ(work(), 0);
}

TEST_F(ToolRun, WorkIsThatOfThePassesTaken) {
  const auto passes = [&](Request wish) {
    const ModelInfo model = read_model_info("model", wish.runtime.model);
    const Plan plan = make_plan(wish, model);
    return sampling_flops(model, plan) /
           transformer_flops(model, drawn_grid(plan, plan.windows.front().frames.size()));
  };
  RemixRequest remix;
  remix.source = write("a.y4m", drawn(9, 20));
  remix.source_prompt = "a dog";
  remix.strength = "1";
  for (const auto& [method, each] : {std::pair("flowedit", 4), std::pair("flowalign", 3)}) {
    remix.method = method;
    EXPECT_DOUBLE_EQ(passes(request(remix, "t2v_unipc")), 3 * each) << method;
  }
  Request wish = request(GenerateRequest{}, "t2v_unipc");
  wish.video = {.size = Size{kWidth, kHeight}, .num_frames = 9};
  wish.sampling.steps = 10;
  EXPECT_DOUBLE_EQ(passes(wish), 20);
  wish.sampling.guidance_interval = parse_guidance_interval("0:0.5");
  const double guided = passes(wish) - 10;
  EXPECT_GT(guided, 0);
  EXPECT_LT(guided, 10);
  const Plan plan = make_plan(wish, read_model_info("model", wish.runtime.model));
  EXPECT_THAT(plan.notices, ElementsAre(fmt::format(
                                "guidance: left out in {} of 10 steps, outside of noise levels {}",
                                10 - guided, to_string(plan.guidance_interval))));
}

// Counts what it is told.
class Listener : public Observer {
 public:
  void notice(std::string_view sentence) override { notices.emplace_back(sentence); }
  std::vector<std::string> notices;
};

TEST_F(ToolRun, TheCacheIsToldOfOnceForAllWindows) {
  Request wish = request(GenerateRequest{}, "t2v_unipc");
  wish.video = {.size = Size{kWidth, kHeight}, .num_frames = 40};
  wish.sampling.cache_threshold = 0.5;
  wish.sampling.steps = 8;
  const c10::InferenceMode inference;
  ModelInfo model = read_model_info("model", wish.runtime.model);
  model.defaults.max_frames = 17;
  const Plan plan = make_plan(wish, model);
  ASSERT_GT(plan.windows.size(), 1u);
  Listener observer;
  ClipMaker maker(wish, model, plan, observer);
  make_clip(maker, plan.seed);
  EXPECT_THAT(observer.notices,
              ElementsAre(HasSubstr(fmt::format("of {} steps", 8 * plan.windows.size()))));
}

class BlendRun : public ToolRun {
 protected:
  Layout layout_of(BlendRequest blend) {
    blend.source = a_;
    blend.second = b_;
    Request wish = request(blend);
    return make_layout(wish, read_model_info("model", wish.runtime.model));
  }

 private:
  const std::string a_ = write("a.y4m", drawn(16, 20)), b_ = write("b.y4m", drawn(16, 120));
};

TEST_F(BlendRun, ABridgeBetweenClipsThatOverlapTakesNoMoreOfThem) {
  BlendRequest blend;
  blend.duration_s = 1.5;  // frames 8 to 16 are both clips'
  const Layout layout = layout_of(blend);
  ASSERT_EQ(layout.kept.size(), 2u);
  EXPECT_EQ(layout.kept[0].frames, (Stretch{0, 8}));
  EXPECT_EQ(layout.kept[1].frames, (Stretch{16, 24}));
}

TEST_F(BlendRun, AClipLongerThanTheDurationLeavesRoomForTheOther) {
  const std::string longer = write("longer.y4m", drawn(48, 20)),
                    shorter = write("shorter.y4m", drawn(8, 120));
  BlendRequest blend;
  blend.duration_s = 1;
  const auto kept_of = [&](const std::string& first, const std::string& second) {
    blend.source = first;
    blend.second = second;
    const Request wish = request(blend);
    std::vector<Stretch> kept;
    for (const Shot& shot : make_layout(wish, read_model_info("model", wish.runtime.model)).kept)
      kept.push_back(shot.frames);
    return kept;
  };
  EXPECT_THAT(kept_of(longer, shorter), ElementsAre(Stretch{0, 11}, Stretch{13, 16}));
  EXPECT_THAT(kept_of(shorter, longer), ElementsAre(Stretch{0, 3}, Stretch{5, 16}));
  EXPECT_THAT(kept_of(longer, longer), ElementsAre(Stretch{0, 4}, Stretch{12, 16}));
}

TEST_F(BlendRun, AMixIsNotLongerThanItsClips) {
  BlendRequest blend;
  blend.mode = "mix";
  blend.duration_s = 5;
  EXPECT_THAT(error_of([&] { layout_of(blend); }).what(), HasSubstr("which is 1.00 s"));
  blend.duration_s = 0.5;
  EXPECT_EQ(layout_of(blend).num_frames, 8);
}

TEST_F(BlendRun, AMixOfAClipWithoutATextSaysTheOthersAlone) {
  WriterOptions options{.path = (folder_ / "said.mkv").string(),
                        .width = kWidth,
                        .height = kHeight,
                        .fps = Rational(16)};
  options.metadata_json = R"({"text": "a red ball"})";
  VideoWriter writer(options);
  writer.write(drawn(16, 20));
  writer.finish();
  BlendRequest blend;
  blend.mode = "mix";
  blend.source = write("unsaid.mkv", drawn(16, 20));
  blend.second = options.path;
  for (int turn = 0; turn < 2; ++turn) {
    Request wish = request(blend);
    std::get<BlendRequest>(wish.operation).prompt.clear();
    EXPECT_EQ(make_layout(wish, read_model_info("model", wish.runtime.model)).prompt(),
              "a red ball");
    std::swap(blend.source, blend.second);
  }
}

// Sound of constant 0.5, so that any gap, dip or doubling shows.
class SoundRun : public ToolRun {
 protected:
  std::string write_loud(const std::string& name, int64_t num_frames) {
    WriterOptions options{
        .path = (folder_ / name).string(), .width = kWidth, .height = kHeight, .fps = Rational(16)};
    options.sound_NC = at::full({num_frames * kSoundRate / 16, 1}, 0.5, at::kFloat);
    VideoWriter writer(options);
    writer.write(drawn(num_frames, 20));
    writer.finish();
    return options.path;
  }
  at::Tensor sound_of(const Request& request) {
    const c10::InferenceMode inference;
    Observer observer;
    return make_soundtrack(
        make_plan(request, read_model_info("model", request.runtime.model)).layout, observer);
  }
  // Of output frames [from, to), but for some milliseconds at either end and where the codec rings.
  static double mean_of(const at::Tensor& sound_NC, int64_t from, int64_t to) {
    constexpr int64_t kMargin = kSoundRate / 40;
    return sound_NC.slice(0, from * kSoundRate / 16 + kMargin, to * kSoundRate / 16 - kMargin)
        .mean()
        .item<double>();
  }
};

TEST_F(SoundRun, IsHeardWhereTheSourceIsShownAndAsLongAsTheClip) {
  RecutRequest recut;
  recut.source = write_loud("a.mp4", 16);
  recut.keep = {{0, 0.25}, {0.5, 1}};
  recut.at_s = {0.25, 1};
  recut.duration_s = 2;
  const at::Tensor sound = sound_of(request(recut));
  ASSERT_EQ(sound.size(0), 2 * kSoundRate);
  EXPECT_NEAR(mean_of(sound, 0, 4), 0, 0.01);
  EXPECT_NEAR(mean_of(sound, 4, 8), 0.5, 0.02);
  EXPECT_NEAR(mean_of(sound, 8, 16), 0, 0.01);
  EXPECT_NEAR(mean_of(sound, 16, 24), 0.5, 0.02);
  EXPECT_NEAR(mean_of(sound, 24, 32), 0, 0.01);
  // No step, so no click: a cut without a ramp would be one of 0.5.
  EXPECT_LT(sound.slice(0, 4000).diff(1, 0).abs().max().item<double>(), 0.05);
}

TEST_F(SoundRun, PiecesThatTouchAreAsIfNeverCut) {
  RecutRequest recut;
  recut.source = write_loud("a.mp4", 16);
  recut.keep = {{0, 0.5}, {0.5, 1}};
  const at::Tensor cut = sound_of(request(recut));
  recut.keep = {{0, 1}};
  EXPECT_LT((cut - sound_of(request(recut))).abs().max().item<double>(), 1e-5);
}

TEST_F(SoundRun, GoesOverFromOneClipToTheOtherUnderATransition) {
  BlendRequest blend;
  blend.source = write_loud("a.mp4", 32);
  blend.second = write_loud("b.mp4", 32);
  const at::Tensor sound = sound_of(request(blend));
  EXPECT_NEAR(mean_of(sound, 0, 20), 0.5, 0.02);
  EXPECT_NEAR(mean_of(sound, 44, 64), 0.5, 0.02);
}

TEST_F(SoundRun, IsUndefinedWithoutAnySource) {
  ExtendRequest extend;
  extend.source = write("a.y4m", drawn(9, 20));
  extend.by_s = 0.5;
  EXPECT_FALSE(sound_of(request(extend)).defined());
}

TEST(RelayBias, EachTextHoldsInItsOwnTime) {
  const LatentStrides strides;
  const at::Tensor bias_FP = relay_bias({{{0, 41}, "a"}, {{41, 81}, "b"}}, strides, 21);
  EXPECT_EQ(bias_FP.amax(1).abs().max().item<double>(), 0);
  EXPECT_EQ(bias_FP[0][0].item<double>(), 0);
  EXPECT_LT(bias_FP[0][1].item<double>(), -100);
  EXPECT_EQ(bias_FP[20][1].item<double>(), 0);
  EXPECT_LT(bias_FP[20][0].item<double>(), -100);
  EXPECT_GT(bias_FP[10].amin().item<double>(), -100);  // both have a part at the border
}

TEST(RelayBias, ATextOfAMomentIsHeard) {
  const LatentStrides strides;
  const at::Tensor bias_FP =
      relay_bias({{{0, 41}, "a"}, {{41, 42}, "b"}, {{42, 81}, "c"}}, strides, 21);
  EXPECT_EQ(bias_FP.select(1, 1).max().item<double>(), 0);
  EXPECT_LT(bias_FP[0][1].item<double>(), -100);
  EXPECT_LT(bias_FP[20][1].item<double>(), -100);
}

TEST(JoinTexts, ATextThatHoldsAloneIsThatTextAlone) {
  const c10::InferenceMode inference;
  const std::filesystem::path directory = kModels / "t2v_unipc";
  const ModelInfo model = read_model_info("model", directory);
  const Weights weights(
      std::make_shared<const Checkpoint>(Checkpoint::open(directory / "transformer")), at::kFloat,
      test_device());
  const WanTransformer transformer(model.transformer, weights);
  const auto numbers = [](at::IntArrayRef shape) { return at::randn(shape).to(test_device()); };
  const at::Tensor a = numbers({1, 32, model.transformer.text_dim}),
                   b = numbers({1, 32, model.transformer.text_dim});
  a.slice(1, 5).zero_();
  b.slice(1, 9).zero_();
  const WanTextContext of_a = transformer.prepare_text(a, {5}),
                       of_b = transformer.prepare_text(b, {9});
  const at::Tensor latents = numbers({1, model.transformer.in_channels, 3, 4, 6});
  const at::Tensor time = at::full({1}, 500.0);
  const at::Tensor only_b =
      at::tensor({-1e9F, 0.F, -1e9F, 0.F, -1e9F, 0.F}).view({3, 2}).to(test_device());
  const at::Tensor joined = transformer(latents, time, join_texts({of_a, of_b}, only_b));
  EXPECT_TRUE(at::allclose(joined, transformer(latents, time, of_b), 1e-4, 1e-4));
  EXPECT_FALSE(at::allclose(joined, transformer(latents, time, of_a), 1e-2, 1e-2));
}

}  // namespace
}  // namespace sora
