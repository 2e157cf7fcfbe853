#include "lib/pipelines/memory_plan.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "lib/models/registry.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

const std::filesystem::path kNano = std::filesystem::path(SORA_SOURCE_DIR) / "models/nano";

TEST(MemoryPlan, CountsWhatSelfAttentionHoldsWhereTheFeedForwardIsNarrow) {
  Request request;
  request.operation = GenerateRequest{.prompt = "a red ball"};
  request.runtime.model = kNano.string();
  request.runtime.dtype = "bf16";
  ModelInfo model = read_model_info("nano", kNano, {});
  const Plan plan = make_plan(request, model);
  const auto sampling_with = [&](int64_t ffn_dim) {
    model.transformer.ffn_dim = ffn_dim;
    return plan_memory(model, plan, INT64_MAX).sample;
  };
  // q, k and v, keys and values in the processor's order, and the output.
  const int64_t width = model.transformer.inner_dim();
  EXPECT_EQ(sampling_with(2 * width), sampling_with(6 * width));
  EXPECT_LT(sampling_with(6 * width), sampling_with(7 * width));
}

Plan plan_of(const ModelInfo& model, int64_t num_frames) {
  Request request;
  request.operation = GenerateRequest{.prompt = "a red ball"};
  request.video.num_frames = num_frames;
  request.runtime.device = "cpu";
  return make_plan(request, model);
}

TEST(MemoryPlan, CountsTheEncoderWhereverItIsUsed) {
  ModelInfo nano = read_model_info("nano", kNano, {});
  EXPECT_GT(plan_memory(nano, plan_of(nano, 17), INT64_MAX).encode, 0);  // a grey clip
  nano.defaults.grey_without_frames = false;
  EXPECT_EQ(plan_memory(nano, plan_of(nano, 17), INT64_MAX).encode, 0);
  EXPECT_GT(plan_memory(nano, plan_of(nano, 200), INT64_MAX).encode, 0);
  const std::filesystem::path folder = std::filesystem::path(SORA_TEST_DATA) / "pipelines" / "vace";
  const ModelInfo vace = read_model_info("vace", folder, {});
  EXPECT_GT(plan_memory(vace, plan_of(vace, 17), INT64_MAX).encode, 0);
}

TEST(MemoryPlan, CountsTheImagesOwnEncoder) {
  const std::filesystem::path folder =
      std::filesystem::path(SORA_TEST_DATA) / "pipelines" / "i2v_clip";
  const ModelInfo small = read_model_info("i2v_clip", folder, {});
  Request request;
  request.operation = GenerateRequest{.prompt = "a red ball", .image = "first.png"};
  request.runtime.device = "cpu";
  const Plan plan = make_plan(request, small);
  constexpr int64_t kBytes = 512 << 20;
  const ScratchDirectory scratch;
  const std::filesystem::path file = scratch / "image_encoder.safetensors";
  const std::string header = fmt::format(
      R"({{"vision_model.embeddings.class_embedding":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{}]}}}})",
      kBytes / 4, kBytes);
  const auto length = static_cast<uint64_t>(header.size());
  std::ofstream(file, std::ios::binary)
      .write(reinterpret_cast<const char*>(&length), sizeof length)
      .write(header.data(), static_cast<std::streamsize>(length));
  std::filesystem::resize_file(file, sizeof length + length + kBytes);  // a hole
  ModelInfo large = small;
  large.parts.image_encoder = file;
  const int64_t before = plan_memory(small, plan, INT64_MAX).encode;
  EXPECT_GT(before, 0);
  EXPECT_GT(plan_memory(large, plan, INT64_MAX).encode, std::max(before, kBytes));
}

TEST(MemoryPlan, CountsFramesThatWaitForEarlierOnes) {
  const ModelInfo nano = read_model_info("nano", kNano, {});
  Plan plan = plan_of(nano, 200);
  ASSERT_GT(plan.windows.size(), 2u);
  const int64_t forward = plan_memory(nano, plan, INT64_MAX).decode;
  const int64_t drawn_last = plan.windows.front().draws.size();
  std::reverse(plan.windows.begin(), plan.windows.end());
  EXPECT_EQ(
      plan_memory(nano, plan, INT64_MAX).decode - forward,
      (plan.canvas_frames - drawn_last) * plan.canvas_size.width * plan.canvas_size.height * 3);
}

TEST(MemoryPlan, TilesWaitNoLongerThanAWindow) {
  const ModelInfo nano = read_model_info("nano", kNano, {});
  const auto decoding = [&](int64_t num_frames, bool loop = false) {
    Request request;
    request.operation = GenerateRequest{.prompt = "a red ball", .loop = loop};
    request.video = {.size = Size{1280, 768}, .num_frames = num_frames, .native = true};
    request.runtime.device = "cpu";
    const Plan plan = make_plan(request, nano);
    return std::pair(plan, plan_memory(nano, plan, INT64_MAX).decode);
  };
  const auto [one, one_bytes] = decoding(33);
  const auto [many, many_bytes] = decoding(800);
  ASSERT_EQ(one.grid.frames, many.grid.frames);
  EXPECT_EQ(one_bytes, many_bytes);
  const auto [circle, circle_bytes] = decoding(36, true);
  ASSERT_EQ(one.grid.frames, circle.grid.frames);
  EXPECT_GT(circle_bytes, one_bytes);
}

TEST(MemoryPlan, CountsEachTextThatAWindowSees) {
  const ModelInfo nano = read_model_info("nano", kNano, {});
  const ScratchDirectory scratch;
  const auto sampling = [&](const std::string& cards) {
    Request request;
    request.operation =
        GenerateRequest{.storyboard = scratch.write("cards.yaml", "cards:\n" + cards).string()};
    request.video = {.size = Size{480, 256}, .num_frames = 33};
    request.sampling.guidance_scale = 3.0;
    request.runtime.device = "cpu";
    request.runtime.dtype = "f32";
    return plan_memory(nano, make_plan(request, nano), INT64_MAX).sample;
  };
  const WanTransformerConfig& config = nano.transformer;
  const int64_t each = static_cast<int64_t>(config.num_layers) * nano.defaults.max_sequence_length *
                       config.inner_dim() * 2 * 4;
  const std::string two = " - {at: 0, text: a red ball}\n - {at: 1, text: a blue ball}\n";
  EXPECT_EQ(sampling(two + " - {at: 1.5, text: a star}\n"), sampling(two) + each);
}

TEST(MemoryPlan, FramesAreTiledAsARecipeSaysWhereTheyFit) {
  ModelInfo nano = read_model_info("nano", kNano, {});
  nano.defaults.grey_without_frames = false;  // nothing goes through the encoder
  Plan plan = plan_of(nano, 5);
  const auto tiles = [&](int64_t limit) {
    return plan_memory(nano, plan, limit).placement.tile_frames;
  };
  const MemoryPlan whole = plan_memory(nano, plan, INT64_MAX);
  EXPECT_FALSE(whole.placement.tile_frames);
  plan.tiled = true;
  EXPECT_TRUE(tiles(INT64_MAX));
  ModelInfo tiled = nano;
  tiled.placement = plan_memory(nano, plan, INT64_MAX).placement;
  EXPECT_EQ(tiled_parts(tiled, plan), std::vector<std::string>{"frames"});
  EXPECT_TRUE(tiled_parts(nano, plan).empty());
  plan.tiled = false;
  EXPECT_FALSE(tiles(INT64_MAX));
  EXPECT_TRUE(tiles(whole.decode - 1));
}

}  // namespace
}  // namespace sora
