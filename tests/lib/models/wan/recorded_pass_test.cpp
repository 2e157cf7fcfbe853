// The transformer's pass as it is, recorded and replayed on the stand-in for a GPU, and on a GPU
// where there is one: the same bytes.
#include "lib/models/wan/recorded_pass.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "lib/models/wan/lora.h"
#include "lib/models/wan/names.h"
#include "lib/models/wan/parts.h"
#include "tests/stand_in_device.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

const fs::path kData = SORA_TEST_DATA;

// A transformer on the device, and what it is told; numbers of their own for each seed.
class RecordedPasses : public ::testing::TestWithParam<at::Device> {
 protected:
  void SetUp() override {
    if (!has_graphs(GetParam().type())) GTEST_SKIP() << "this build makes no CUDA graphs";
  }

  void open(const fs::path& path, at::ScalarType dtype = at::kBFloat16,
            const std::vector<LoraChoice>& loras = {}) {
    const auto checkpoint = open_weights(WanPart::Transformer, path);
    const Weights weights(
        checkpoint, dtype, GetParam(),
        read_wan_loras(loras, /*low_noise=*/false, /*has_two_experts=*/false, *checkpoint).changes);
    dtype_ = dtype;
    model_.emplace(WanTransformerConfig::from_config(read_config(WanPart::Transformer, path)),
                   weights);
    recorder_ = make_graph_recorder(GetParam());
    recorded_.emplace(*model_, *recorder_, GetParam());
  }

  at::Tensor random(at::IntArrayRef shape) { return at::randn(shape).to(GetParam(), dtype_); }
  at::Tensor latents(int64_t batch = 1, int64_t side = 8) {
    return random({batch, model_->config().in_channels, 3, side, side});
  }
  WanTextContext text(int64_t batch = 1) {
    const WanTransformerConfig& config = model_->config();
    const int64_t images = config.pos_embed_seq_len ? 2 * batch : batch;
    const int64_t tokens = config.pos_embed_seq_len ? *config.pos_embed_seq_len / 2 : 5;
    return model_->prepare_text(
        random({batch, 8, config.text_dim}), std::vector<int64_t>(batch, 8),
        config.image_dim ? random({images, tokens, *config.image_dim}) : at::Tensor());
  }
  WanControl control(const at::Tensor& latents, double scale = 0.5) {
    if (!model_->config().has_control()) return {};
    std::vector<int64_t> shape = latents.sizes().vec();
    shape[1] = model_->config().vace_in_channels;
    return {random(shape), scale};
  }

  // Runs both ways and expects the same bytes.
  void expect_same(const at::Tensor& latents, const at::Tensor& timestep,
                   const WanTextContext& text, const WanControl& control) {
    const at::Tensor wanted = (*model_)(latents, timestep, text, control).cpu();
    EXPECT_TRUE(at::equal((*recorded_)(latents, timestep, text, control).cpu(), wanted));
  }

  // On a GPU they are not counted.
  static void expect_replays(int64_t before, int64_t wanted) {
    if (GetParam() != stand_in_device()) return;
    EXPECT_EQ(stand_in_replays() - before, wanted);
  }

  // Three steps of one clip: computed, recorded and replayed, replayed.
  void expect_same_steps(int64_t batch = 1) {
    const int64_t before = stand_in_replays();
    const WanTextContext told = text(batch);
    const WanControl channels = control(latents(batch));
    for (const double timestep : {900.0, 500.0, 100.0})
      expect_same(latents(batch), at::full({batch}, timestep, at::kFloat), told, channels);
    expect_replays(before, 2);
  }

  at::ScalarType dtype_ = at::kBFloat16;
  std::optional<WanTransformer> model_;
  std::unique_ptr<GraphRecorder> recorder_;
  std::optional<RecordedPass> recorded_;

 private:
  const c10::InferenceMode inference_;
};

TEST_P(RecordedPasses, EqualThoseOfEveryInputForm) {
  for (const auto& entry : fs::directory_iterator(kData / "transformer")) {
    for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
      SCOPED_TRACE(entry.path().filename().string() + " " + c10::toString(dtype));
      open(entry.path() / "model", dtype);
      expect_same_steps();
      expect_same_steps(/*batch=*/2);
    }
  }
}

TEST_P(RecordedPasses, TakeATimestepForEachToken) {
  open(kData / "transformer" / "t2v" / "model");
  const WanTextContext told = text();
  const auto& patch = model_->config().patch_size;
  const int64_t tokens = 3 / patch[0] * (8 / patch[1]) * (8 / patch[2]);
  const int64_t before = stand_in_replays();
  for (const double timestep : {900.0, 500.0, 100.0}) {
    at::Tensor each = at::full({1, tokens}, timestep, at::kFloat);
    each.narrow(1, 0, timestep > 200 ? 4 : 7).zero_();
    expect_same(latents(), each, told, {});
  }
  expect_replays(before, 2);
}

TEST_P(RecordedPasses, TakeOtherConditionsWhenToldOfThem) {
  open(kData / "transformer" / "vace" / "model");
  const at::Tensor timestep = at::full({1}, 300.0, at::kFloat);
  for (int clip = 0; clip < 3; ++clip) {
    const WanTextContext told = text();
    const WanControl channels = control(latents());
    recorded_->renew_conditions();
    for (int step = 0; step < 2; ++step) expect_same(latents(), timestep, told, channels);
  }
}

TEST_P(RecordedPasses, AreRecordedAnewForAnotherShapeOrScale) {
  open(kData / "transformer" / "vace" / "model");
  const at::Tensor timestep = at::full({1}, 300.0, at::kFloat);
  const WanTextContext told = text();
  for (const int64_t side : {8, 12, 8}) {
    const WanControl channels = control(latents(1, side));
    for (int step = 0; step < 3; ++step) expect_same(latents(1, side), timestep, told, channels);
  }
  const WanControl weaker = control(latents(), /*scale=*/0.25);
  for (int step = 0; step < 3; ++step) expect_same(latents(), timestep, told, weaker);
}

TEST_P(RecordedPasses, LeaveEarlierResultsAsTheyWere) {
  open(kData / "transformer" / "t2v" / "model");
  const WanTextContext told = text();
  const at::Tensor timestep = at::full({1}, 300.0, at::kFloat);
  std::vector<at::Tensor> given, made;
  for (int step = 0; step < 4; ++step) {
    given.push_back(latents());
    made.push_back((*recorded_)(given.back(), timestep, told, {}));
  }
  for (size_t step = 0; step < made.size(); ++step)
    EXPECT_TRUE(at::equal(made[step].cpu(), (*model_)(given[step], timestep, told).cpu()));
}

TEST_P(RecordedPasses, ExpandPackedWeightsAsTheyGo) {
  open(kData / "weights" / "scaled" / "old.safetensors");
  expect_same_steps();
}

TEST_P(RecordedPasses, HoldLoras) {
  const fs::path lora = kData / "weights" / "lora" / "comfy.safetensors";
  open(kData / "transformer" / "image" / "model", at::kFloat, {{lora.string(), 0.8, ""}});
  expect_same_steps();
}

// A graph that goes is the last of its recorder where one text alone is told.
TEST_P(RecordedPasses, AreRecordedByARecorderWhoseGraphsHaveAllGone) {
  open(kData / "transformer" / "t2v" / "model");
  const WanTextContext told = text();
  const at::Tensor timestep = at::full({1}, 300.0, at::kFloat);
  for (int time = 0; time < 3; ++time) {
    const int64_t before = stand_in_replays();
    recorded_.emplace(*model_, *recorder_, GetParam());
    for (int step = 0; step < 3; ++step) expect_same(latents(), timestep, told, {});
    expect_replays(before, 2);
  }
}

INSTANTIATE_TEST_SUITE_P(Devices, RecordedPasses, ::testing::ValuesIn(gpu_devices()));

}  // namespace
}  // namespace sora
