// What a clip is made with besides the networks of whole_run_test.cpp and tools_test.cpp, on the
// stand-in for a GPU: it gives what the CPU gives.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include "lib/models/registry.h"
#include "lib/models/wan/transformer.h"
#include "lib/pipelines/clip_maker.h"
#include "lib/pipelines/memory_plan.h"
#include "lib/pipelines/preview.h"
#include "lib/tensor_io/safetensors.h"
#include "tests/error_of.h"
#include "tests/lib/pipelines/made_clip.h"
#include "tests/relative_error.h"
#include "tests/scratch_directory.h"
#include "tests/stand_in_device.h"

namespace sora {
namespace {

const std::filesystem::path kData = SORA_TEST_DATA;
const std::filesystem::path kNano = std::filesystem::path(SORA_SOURCE_DIR) / "models/nano";
constexpr double kRelativeError = 1e-4;  // order of sums in f32, over a few steps

class DeviceRun : public ::testing::Test {
 protected:
  static Request request(const std::filesystem::path& model) {
    Request request;
    request.operation = GenerateRequest{.prompt = "a red ball"};
    request.video.size = Size{64, 64};
    request.video.num_frames = 9;
    request.runtime.model = model.string();
    request.runtime.dtype = "f32";
    request.sampling.steps = 6;
    request.sampling.guidance_scale = 3.0;
    request.sampling.seed = 5;
    return request;
  }

  struct Made {
    at::Tensor latents, frames;
    std::vector<Pictures> previews;
  };

  Made make(const Request& wish, const ModelInfo& model, at::Device device) {
    Plan plan = make_plan(wish, model);
    plan.device = device;
    Observer observer;
    Made made;
    // A file is what the last look is always taken for.
    Preview preview({.path = (folder_ / "preview.png").string(),
                     .force = true,
                     .show = [&](const Pictures& pictures) { made.previews.push_back(pictures); }},
                    make_previewer(model, plan, "no map is kept for it", ""), plan);
    ClipMaker maker(wish, model, plan, observer, &preview);
    const MadeClip clip = make_clip(maker, plan.seed);
    made.frames = clip.frames;
    made.latents = clip.latents.back();
    return made;
  }

  // Runs on both devices and expects the same.
  void expect_same(const Request& wish, const ModelInfo& model) {
    reset_most_stand_in_bytes();
    const Made on_cpu = make(wish, model, at::kCPU),
               on_device = make(wish, model, stand_in_device());
    EXPECT_GT(most_stand_in_bytes(), on_cpu.latents.nbytes());
    EXPECT_TRUE(on_device.latents.is_cpu() && on_device.frames.is_cpu());
    EXPECT_LE(relative_error(on_device.latents, on_cpu.latents), kRelativeError);
    EXPECT_LE((on_device.frames.to(at::kInt) - on_cpu.frames.to(at::kInt)).abs().max().item<int>(),
              1);
    ASSERT_FALSE(on_device.previews.empty());
    const auto bytes = [](const Pictures& pictures) {
      return at::tensor(at::ArrayRef<uint8_t>(pictures.rgb)).to(at::kInt);
    };
    EXPECT_LE(
        (bytes(on_device.previews.back()) - bytes(on_cpu.previews.back())).abs().max().item<int>(),
        1);
  }

  ScratchDirectory folder_;

 private:
  const c10::InferenceMode inference_;
};

TEST_F(DeviceRun, PreviewsByAMapMeasuredOnTheDecoder) {
  expect_same(request(kNano), read_model_info("nano", kNano, {}));
}

TEST_F(DeviceRun, TinyDecoders) {
  ModelInfo model = read_model_info("nano", kNano, {});
  model.parts.tiny_vae = kData / "tiny_vae" / "taew2_2.safetensors";
  expect_same(request(kNano), model);
}

TEST_F(DeviceRun, CachedStepsAndGuidanceInAnInterval) {
  Request wish = request(kNano);
  wish.sampling.steps = 10;
  wish.sampling.cache_threshold = 0.2;
  wish.sampling.guidance_interval = GuidanceInterval{0.2, 0.9};
  expect_same(wish, read_model_info("nano", kNano, {}));
}

TEST_F(DeviceRun, LorasOnBothExperts) {
  const std::filesystem::path path = kData / "pipelines" / "t2v_two_experts";
  ModelInfo model = read_model_info("model", path, {});
  const int64_t width = model.transformer.inner_dim();
  const std::string name = "transformer.blocks.0.attn1.to_q.lora_";
  write_safetensors(folder_ / "a.safetensors",
                    {{name + "A.weight", at::linspace(-1, 1, 2 * width).view({2, width})},
                     {name + "B.weight", at::linspace(1, -1, 2 * width).view({width, 2})}});
  const at::Tensor plain = make(request(path), model, stand_in_device()).latents;
  model.loras = {{(folder_ / "a.safetensors").string(), 1.0, ""}};
  expect_same(request(path), model);
  EXPECT_GT(relative_error(make(request(path), model, stand_in_device()).latents, plain), 1e-3);
}

TEST_F(DeviceRun, PartsThatStayLoadedAreKeptForEachDevice) {
  ModelInfo model = read_model_info("nano", kNano, {});
  model.kept = std::make_shared<KeptParts>();
  expect_same(request(kNano), model);
  expect_same(request(kNano), model);
}

// Of nano's layers those that a small --memory has room for stay on the device.
TEST_F(DeviceRun, LayersThatDoNotFitAreCopiedAsTheyAreUsed) {
  for (const at::Device device : gpu_devices()) {
    SCOPED_TRACE(device.str());
    ModelInfo model = read_model_info("nano", kNano, {});
    const Request wish = request(kNano);
    Plan plan = make_plan(wish, model);
    plan.device = device;
    const MemoryPlan whole = plan_memory(model, plan, INT64_MAX);
    EXPECT_FALSE(whole.placement.streams_blocks());
    const MemoryPlan tight = plan_memory(model, plan, whole.sample - 1);
    EXPECT_LE(tight.sample, whole.sample - 1);
    EXPECT_LT(tight.placement.resident_blocks, model.transformer.num_layers);
    EXPECT_GT(tight.placement.resident_blocks, 0);
    EXPECT_EQ(tight.placement.kept_bytes, 0);
    const at::Tensor wanted = make(wish, model, device).latents;
    for (const int64_t resident : {tight.placement.resident_blocks, int64_t{0}}) {
      for (const bool host_copies : {false, true}) {
        model.placement.resident_blocks = resident;
        model.placement.host_copies = host_copies;
        EXPECT_TRUE(at::equal(make(wish, model, device).latents, wanted));
      }
    }
  }
}

TEST_F(DeviceRun, FewerResidentLayersTakeLessOfTheDevice) {
  const std::filesystem::path path = kNano / "transformer";
  const ModelInfo model = read_model_info("nano", kNano, {});
  const auto checkpoint = std::make_shared<const Checkpoint>(Checkpoint::open(path));
  int64_t last = INT64_MAX;
  for (const int64_t resident :
       {Placement::kAllBlocks, model.transformer.num_layers / 2, int64_t{0}}) {
    const int64_t before = stand_in_bytes();
    const Weights weights(checkpoint, at::kFloat, stand_in_device());
    const WanTransformer transformer(model.transformer, weights, {}, {.num_layers = resident});
    EXPECT_LT(stand_in_bytes() - before, last);
    last = stand_in_bytes() - before;
  }
}

TEST_F(DeviceRun, HostCopiesAreOfTheLayersThatAreNotResident) {
  const ModelInfo model = read_model_info("nano", kNano, {});
  const auto checkpoint =
      std::make_shared<const Checkpoint>(Checkpoint::open(kNano / "transformer"));
  const int64_t resident = model.transformer.num_layers / 2;
  int64_t wanted = 0;
  for (const std::string& name : checkpoint->names()) {
    for (int64_t layer = resident; layer < model.transformer.num_layers; ++layer) {
      if (name.starts_with("blocks." + std::to_string(layer) + "."))
        wanted += checkpoint->info(name).num_values() * static_cast<int64_t>(sizeof(float));
    }
  }
  const int64_t before = stand_in_pinned_bytes();
  {
    const WanTransformer transformer(model.transformer,
                                     Weights(checkpoint, at::kFloat, stand_in_device()), {},
                                     {.num_layers = resident, .host_copies = true});
    const at::Tensor text = at::ones({1, 4, model.transformer.text_dim}).to(stand_in_device());
    for (int pass = 0; pass < 2; ++pass) transformer.prepare_text(text, {4});  // of every layer
    EXPECT_EQ(stand_in_pinned_bytes() - before, wanted);
  }
  EXPECT_LE(stand_in_pinned_bytes(), before);
}

TEST_F(DeviceRun, LeavesNothingOnTheDevice) {
  const int64_t before = stand_in_bytes();
  make(request(kNano), read_model_info("nano", kNano, {}), stand_in_device());
  EXPECT_EQ(stand_in_bytes(), before);
}

}  // namespace
}  // namespace sora
