// VACE models: what their control branch is told, and the tools on them. Whole runs are compared
// with diffusers' in whole_run_test.cpp.
#include "lib/pipelines/control.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/media/image.h"
#include "lib/media/video_writer.h"
#include "lib/models/registry.h"
#include "lib/pipelines/clip_maker.h"
#include "tests/error_of.h"
#include "tests/lib/media/read_clip.h"
#include "tests/scratch_directory.h"
#include "tests/stand_in_device.h"

namespace sora {
namespace {

using ::testing::HasSubstr;

const std::filesystem::path kModels = std::filesystem::path(SORA_TEST_DATA) / "pipelines";
constexpr int64_t kWidth = 48, kHeight = 32;

at::Tensor drawn(int64_t num_frames, int shade) {
  at::Tensor frames = at::empty({num_frames, kHeight, kWidth, 3}, at::kByte);
  for (int64_t f = 0; f < num_frames; ++f) frames[f].fill_(shade + 5 * static_cast<int>(f % 20));
  return frames;
}

class OnVace : public ::testing::Test {
 protected:
  std::string write(const std::string& name, const at::Tensor& frames_FHWC,
                    Rational fps = Rational(16)) {
    WriterOptions options;
    options.path = (folder_ / name).string();
    options.width = frames_FHWC.size(2);
    options.height = frames_FHWC.size(1);
    options.fps = fps;
    VideoWriter writer(options);
    writer.write(frames_FHWC);
    writer.finish();
    return options.path;
  }

  std::string write_picture(const std::string& name) {
    const std::string path = (folder_ / name).string();
    write_png(path, drawn(1, 90)[0]);
    return path;
  }

  template <typename Tool>
  Request request(Tool tool, const std::string& model = "vace") {
    Request request;
    tool.prompt = "a cat";
    request.operation = tool;
    request.runtime.model = (kModels / model).string();
    request.runtime.dtype = "f32";
    request.sampling.steps = 2;
    request.sampling.seed = 5;
    return request;
  }

  at::Tensor make(const Request& request, int64_t max_frames = 81) {
    const c10::InferenceMode inference;
    ModelInfo model = read_model_info("model", request.runtime.model);
    model.defaults.max_frames = max_frames;
    Plan plan = make_plan(request, model);
    plan.device = test_device();
    num_windows_ = plan.windows.size();
    Observer observer;
    ClipMaker maker(request, model, plan, observer);
    std::vector<at::Tensor> chunks;
    maker.make(
        {.seed = plan.seed}, [&](const at::Tensor& frames) { chunks.push_back(frames.clone()); },
        [&](size_t, const at::Tensor& latents) { latents_ = latents; });
    return at::cat(chunks);
  }

  at::Tensor read(const std::string& path) { return read_clip(path).frames_FHWC; }

  ScratchDirectory folder_;
  size_t num_windows_ = 0;
  at::Tensor latents_;
};

TEST_F(OnVace, ToolsKeepTheFramesOfTheirSources) {
  const std::string a = write("a.y4m", drawn(21, 20)), b = write("b.y4m", drawn(21, 120));
  const at::Tensor source = read(a);
  for (const bool backward : {false, true}) {
    ExtendRequest extend;
    extend.source = a;
    extend.by_s = 0.5;
    extend.backward = backward;
    const at::Tensor frames = make(request(extend));
    ASSERT_EQ(frames.size(0), 29);
    const int64_t start = backward ? 8 : 0;
    EXPECT_TRUE(at::equal(frames.slice(0, start, start + 21), source));
  }
  RecutRequest recut;
  recut.source = a;
  recut.keep = {{0, 0.5}, {0.75, 1.25}};
  recut.at_s = {0.25, 1.5};
  recut.duration_s = 2.5;
  const at::Tensor moved = make(request(recut));
  ASSERT_EQ(moved.size(0), 40);
  EXPECT_TRUE(at::equal(moved.slice(0, 4, 12), source.slice(0, 0, 8)));
  EXPECT_TRUE(at::equal(moved.slice(0, 24, 32), source.slice(0, 12, 20)));

  LoopRequest loop;
  loop.source = a;
  const at::Tensor looped = make(request(loop));
  EXPECT_GT(looped.size(0), 21);
  EXPECT_TRUE(at::equal(looped.slice(0, 0, 21), source));

  BlendRequest blend;
  blend.source = a;
  blend.second = b;
  const at::Tensor blended = make(request(blend));
  EXPECT_TRUE(at::equal(blended[0], source[0]));
  EXPECT_TRUE(at::equal(blended[blended.size(0) - 1], read(b)[20]));
}

TEST_F(OnVace, ALongClipIsDrawnInWindowsWithTheReferencesInEach) {
  GenerateRequest generate;
  generate.references = {write_picture("who.png"), write_picture("what.png")};
  Request wish = request(generate);
  wish.video.size = Size{kWidth, kHeight};
  wish.video.num_frames = 40;
  EXPECT_EQ(make(wish, 17).size(0), 40);
  EXPECT_GT(num_windows_, 2u);
  EXPECT_EQ(latents_.size(2), 5) << "the latent frames of the references are dropped";
}

TEST_F(OnVace, RemixFollowsItsSource) {
  RemixRequest remix;
  remix.source = write("a.y4m", drawn(13, 20));
  remix.strength = "0.5";
  EXPECT_EQ(make(request(remix)).size(0), 13);
}

TEST_F(OnVace, TheReferenceAndTheControlChangeTheClip) {
  GenerateRequest generate;
  const auto latents_of = [&] {
    Request wish = request(generate);
    wish.video.size = Size{kWidth, kHeight};
    wish.video.num_frames = 9;
    make(wish);
    return latents_;
  };
  const at::Tensor plain = latents_of();
  generate.control = write("control.y4m", drawn(9, 40));
  const at::Tensor controlled = latents_of();
  EXPECT_FALSE(at::allclose(plain, controlled, 1e-3, 1e-3));
  generate.control_scale = 0.0;
  EXPECT_TRUE(at::allclose(latents_of(), latents_of()));
  const at::Tensor unheard = latents_of();
  generate.control.clear();
  EXPECT_TRUE(at::equal(unheard, latents_of())) << "at weight 0 nothing of the control is left";
}

TEST_F(OnVace, AControlVideoOfAnotherRateStandsToTheEnd) {
  GenerateRequest generate;
  generate.control = write("control.mkv", drawn(10, 40), Rational(24));
  const Request wish = request(generate);
  const Plan plan = make_plan(wish, read_model_info("model", wish.runtime.model));
  const Canvas canvas = make_canvas(plan);
  const Canvas::Known& control = canvas.controlling();
  ASSERT_EQ(control.frames, (Stretch{0, 9}));
  const at::Tensor source = read(generate.control);
  for (const int64_t frame : {6, 7, 8})
    EXPECT_TRUE(at::equal(control.read({frame, frame + 1})[0], source[9])) << frame;
}

TEST_F(OnVace, AControlVideoGivesSizeAndLength) {
  GenerateRequest generate;
  generate.control = write("control.y4m", drawn(13, 40));
  const at::Tensor frames = make(request(generate));
  EXPECT_EQ(frames.sizes(), (std::vector<int64_t>{13, kHeight, kWidth, 3}));
}

TEST_F(OnVace, AControlVideoOfASizeThatNoClipHasIsRefused) {
  GenerateRequest generate;
  generate.control = write("control.y4m", drawn(9, 40).slice(1, 0, 8).contiguous());
  Request wish = request(generate);
  const ModelInfo model = read_model_info("model", wish.runtime.model);
  EXPECT_THAT(error_of([&] { make_plan(wish, model); }).what(),
              HasSubstr("clips with sides from 16 to 4096 pixels can be made"));
  wish.video.size = Size{kWidth, kHeight};
  make_plan(wish, model);
}

TEST_F(OnVace, OtherModelsRefuseReferencesAndControl) {
  const ModelInfo model = read_model_info("plain", kModels / "t2v_unipc");
  const auto message = [&](const GenerateRequest& generate) {
    const Error error = error_of([&] { make_plan(request(generate, "t2v_unipc"), model); });
    EXPECT_EQ(error.kind(), ErrorKind::Usage);
    return std::string(error.what());
  };
  GenerateRequest generate;
  generate.references = {write_picture("who.png")};
  EXPECT_THAT(message(generate), HasSubstr("--reference needs a model with a control branch"));
  generate.references.clear();
  generate.control = write("control.y4m", drawn(9, 40));
  EXPECT_THAT(message(generate), HasSubstr("--control needs"));
  generate.control.clear();
  generate.control_scale = 0.5;
  EXPECT_THAT(message(generate), HasSubstr("--control-scale needs"));
}

TEST(ControlMask, ALatentFrameHasTheMaskOfTheVideoFrameInItsMiddle) {
  at::Tensor free_frames = at::ones({9});
  free_frames.slice(0, 0, 5).zero_();
  const at::Tensor mask = control_mask(free_frames, LatentStrides{});
  EXPECT_EQ(mask.sizes(), (std::vector<int64_t>{1, 64, 3, 1, 1}));
  // The shares of the three latent frames are 3 video frames each: the middle ones are 1, 4 and 7.
  EXPECT_TRUE(at::equal(mask[0][0].flatten(), at::tensor({0.F, 0.F, 1.F})));
  EXPECT_EQ(control_mask(at::ones({1}), LatentStrides{}).size(2), 1);
}

TEST(ReferenceOnWhite, ShowsThePictureWholeInTheMiddle) {
  const at::Tensor frame = reference_on_white(at::zeros({16, 64, 3}, at::kByte), 32, 64, 8);
  EXPECT_EQ(frame.sizes(), (std::vector<int64_t>{1, 3, 1, 32, 64}));
  EXPECT_EQ(frame.slice(3, 0, 8).min().item<float>(), 1.0F);
  EXPECT_EQ(frame.slice(3, 24).min().item<float>(), 1.0F);
  EXPECT_EQ(frame.slice(3, 8, 24).max().item<float>(), -1.0F);
}

TEST(ReferenceOnWhite, RefusesAPictureSmallerThanTheGrid) {
  const Error error = error_of([] {
    reference_on_white(at::zeros({7, 64, 3}, at::kByte), 32, 64, 8);
  });
  EXPECT_EQ(error.kind(), ErrorKind::Input);
}

}  // namespace
}  // namespace sora
