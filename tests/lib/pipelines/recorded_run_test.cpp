// Whole runs of every kind of model with the transformer's passes recorded (--cuda-graph), on the
// stand-in for a GPU: the frames are those of the run without.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "lib/media/image.h"
#include "lib/models/registry.h"
#include "lib/pipelines/clip_maker.h"
#include "lib/pipelines/memory_plan.h"
#include "tests/error_of.h"
#include "tests/lib/pipelines/made_clip.h"
#include "tests/scratch_directory.h"
#include "tests/stand_in_device.h"

namespace sora {
namespace {

using ::testing::HasSubstr;

const std::filesystem::path kModels = std::filesystem::path(SORA_TEST_DATA) / "pipelines";
const std::filesystem::path kNano = std::filesystem::path(SORA_SOURCE_DIR) / "models/nano";
constexpr int kSteps = 4;

class RecordedRun : public ::testing::Test {
 protected:
  Request request(const std::filesystem::path& model, bool with_image) {
    GenerateRequest generate{.prompt = "a red ball"};
    if (with_image) {
      generate.image = (folder_ / "image.png").string();
      write_png(generate.image, at::arange(64 * 64 * 3).to(at::kByte).view({64, 64, 3}));
    }
    Request request;
    request.operation = generate;
    request.video.size = Size{64, 64};
    request.video.num_frames = 9;
    request.runtime.model = model.string();
    request.runtime.dtype = "bf16";
    request.sampling.steps = kSteps;
    request.sampling.guidance_scale = 3.0;
    request.sampling.seed = 5;
    return request;
  }

  // One clip of each seed by one maker, one after the other.
  std::vector<MadeClip> make(const Request& wish, bool recorded,
                             const std::vector<uint64_t>& seeds = {5}) {
    ModelInfo model = read_model_info("model", wish.runtime.model, wish.runtime.files);
    model.placement.record_passes = recorded;
    Plan plan = make_plan(wish, model);
    plan.device = stand_in_device();
    Observer observer;
    ClipMaker maker(wish, model, plan, observer);
    std::vector<MadeClip> made;
    for (const uint64_t seed : seeds) made.push_back(make_clip(maker, seed));
    return made;
  }

  // Returns how often a recorded pass was replayed.
  int64_t expect_same(const Request& wish, const std::vector<uint64_t>& seeds = {5}) {
    const std::vector<MadeClip> wanted = make(wish, false, seeds);
    const int64_t before = stand_in_replays();
    const std::vector<MadeClip> made = make(wish, true, seeds);
    for (size_t clip = 0; clip < seeds.size(); ++clip) {
      EXPECT_TRUE(at::equal(made[clip].latents.back(), wanted[clip].latents.back()));
      EXPECT_TRUE(at::equal(made[clip].frames, wanted[clip].frames));
    }
    return stand_in_replays() - before;
  }

  ScratchDirectory folder_;

 private:
  const c10::InferenceMode inference_;
};

TEST_F(RecordedRun, GivesTheSameFramesInEveryFamily) {
  const std::pair<const char*, bool> kCases[] = {
      {"t2v_unipc", false}, {"i2v", true}, {"ti2v", false}, {"ti2v", true}, {"vace", true}};
  for (const auto& [name, with_image] : kCases) {
    SCOPED_TRACE(name);
    EXPECT_GE(expect_same(request(kModels / name, with_image)), kSteps - 2);
  }
}

TEST_F(RecordedRun, RecordsBothExpertsWithTheirLoras) {
  Request wish = request(kModels / "t2v_two_experts", false);
  const int64_t plain = expect_same(wish);
  EXPECT_EQ(plain, kSteps - 2);  // the first step of each is computed
  const std::filesystem::path files = std::filesystem::path(SORA_TEST_DATA) / "lora_runs/files";
  wish.runtime.files.loras = {{(files / "style_high_noise.safetensors").string(), 0.8, "high"},
                              {(files / "style_low_noise.safetensors").string(), 0.8, "low"}};
  EXPECT_EQ(expect_same(wish), plain);
}

TEST_F(RecordedRun, RecordsOnceForClipsOfOneShape) {
  EXPECT_EQ(expect_same(request(kNano, false), {5, 6, 7}), 3 * kSteps - 1);
}

// An image's tokens are not told to both texts in one batch.
TEST_F(RecordedRun, RecordsPassesOfTwoTextsInTheirTurns) {
  EXPECT_EQ(expect_same(request(kModels / "i2v_clip", true)), 2 * (kSteps - 1));
}

TEST_F(RecordedRun, LeavesNothingOnTheDevice) {
  const int64_t before = stand_in_bytes();
  make(request(kNano, false), true);
  EXPECT_EQ(stand_in_bytes(), before);
}

TEST_F(RecordedRun, RecordsNothingWhereLayersAreCopiedAsTheyAreUsed) {
  const Request wish = request(kNano, false);
  const ModelInfo model = read_model_info("nano", kNano, {});
  Plan plan = make_plan(wish, model);
  plan.device = stand_in_device();
  plan.cuda_graph = true;
  const MemoryPlan whole = plan_memory(model, plan, INT64_MAX);
  EXPECT_TRUE(whole.placement.record_passes);
  const MemoryPlan tight = plan_memory(model, plan, whole.sample - 1);
  EXPECT_TRUE(tight.placement.streams_blocks());
  EXPECT_FALSE(tight.placement.record_passes);
}

// A graph's memory is not given back while frames are decoded.
TEST_F(RecordedRun, CountsTheMemoryOfGraphsAmongTheNetworksThatStay) {
  const ModelInfo model = read_model_info("nano", kNano, {});
  Plan plan = make_plan(request(kNano, false), model);
  plan.device = stand_in_device();
  const auto least_that_keeps_networks = [&](bool recorded) {
    plan.cuda_graph = recorded;
    const MemoryPlan whole = plan_memory(model, plan, INT64_MAX);
    int64_t too_little = whole.peak() - 1, enough = whole.sample + whole.decode;
    EXPECT_TRUE(plan_memory(model, plan, enough).placement.keeps_networks);
    while (enough - too_little > 1) {
      const int64_t limit = too_little + (enough - too_little) / 2;
      (plan_memory(model, plan, limit).placement.keeps_networks ? enough : too_little) = limit;
    }
    return enough;
  };
  EXPECT_GT(least_that_keeps_networks(true), least_that_keeps_networks(false));
}

TEST_F(RecordedRun, OnACpuIsRefused) {
  Request wish = request(kNano, false);
  wish.runtime.device = "cpu";
  wish.runtime.cuda_graph = true;
  const ModelInfo model = read_model_info("nano", kNano, {});
  const Error error = error_of([&] { make_plan(wish, model); });
  EXPECT_EQ(error.kind(), ErrorKind::Usage);
  EXPECT_THAT(error.what(), HasSubstr("--cuda-graph is of GPUs"));
}

}  // namespace
}  // namespace sora
