#include "lib/models/wan/tiny_vae.h"

#include <ATen/ATen.h>

#include <cmath>

#include "lib/core/error.h"

namespace sora {
namespace {

constexpr int64_t kNumStages = 3, kBlocksInStage = 3, kColours = 3;
// Positions in the decoder's list: clamp, convolution, ReLU, and of each stage its blocks, the
// doubling of pixels, the growth in time and a convolution; then ReLU and the last convolution.
constexpr int64_t kConvIn = 1, kFirstStage = 3, kStageLength = 6, kGrow = 4, kConv = 5;
constexpr int64_t kConvOut = kFirstStage + kNumStages * kStageLength + 1;

int64_t first_of(int64_t stage) { return kFirstStage + stage * kStageLength; }

const std::vector<int64_t>& shape_of(const Checkpoint& checkpoint, int64_t index,
                                     const char* weight) {
  const std::string name = fmt::format("decoder.{}.{}", index, weight);
  if (!checkpoint.has(name)) {
    fail(ErrorKind::Input,
         "{}: there is no {}; is this a tiny decoder of Wan's (taew2_1, taew2_2)?",
         checkpoint.description(), name);
  }
  const std::vector<int64_t>& shape = checkpoint.info(name).shape;
  if (shape.size() != 4) {
    fail(ErrorKind::Input, "{}: {} has {} dimensions, expected 4", checkpoint.description(), name,
         shape.size());
  }
  return shape;
}

}  // namespace

int64_t TinyVaeConfig::scale_factor_temporal() const {
  int64_t product = 1;
  for (const int64_t made : frames_made) product *= made;
  return product;
}

TinyVaeConfig TinyVaeConfig::from_shapes(const Checkpoint& checkpoint) {
  TinyVaeConfig config;
  const std::vector<int64_t>& in = shape_of(checkpoint, kConvIn, "weight");
  config.latent_channels = in[1];
  config.widths = {in[0]};
  for (int64_t stage = 0; stage < kNumStages; ++stage) {
    const std::vector<int64_t>& grow = shape_of(checkpoint, first_of(stage) + kGrow, "conv.weight");
    config.frames_made.push_back(grow[0] / std::max<int64_t>(grow[1], 1));
    config.widths.push_back(shape_of(checkpoint, first_of(stage) + kConv, "weight")[0]);
  }
  const int64_t out = shape_of(checkpoint, kConvOut, "weight")[0];
  config.patch_size = std::llround(std::sqrt(static_cast<double>(out / kColours)));
  for (const int64_t made : config.frames_made) {
    if (made != 1 && made != 2) {
      fail(ErrorKind::Input, "{}: a stage makes {} frames of one, expected 1 or 2",
           checkpoint.description(), made);
    }
  }
  if (config.patch_size < 1 || config.patch_size * config.patch_size * kColours != out) {
    fail(ErrorKind::Input,
         "{}: the last layer gives {} channels, expected 3 for each pixel of a square",
         checkpoint.description(), out);
  }
  return config;
}

at::Tensor TinyVae::Block::operator()(const at::Tensor& x_THWC, at::Tensor& memory_1HWC) const {
  const int64_t frames = x_THWC.size(0);
  const at::Tensor before =
      memory_1HWC.defined() ? memory_1HWC : at::zeros_like(x_THWC.slice(0, 0, 1));
  const at::Tensor past = frames == 1 ? before : at::cat({before, x_THWC.slice(0, 0, frames - 1)});
  memory_1HWC = x_THWC.slice(0, frames - 1).clone();
  const at::Tensor inner = second(first(at::cat({x_THWC, past}, 3)).relu_()).relu_();
  return third(inner).add_(x_THWC).relu_();
}

TinyVae::TinyVae(const TinyVaeConfig& config, const Weights& weights)
    : config_(config),
      dtype_(weights.dtype()),
      device_(weights.device()),
      conv_in_(weights["decoder"][kConvIn], config.latent_channels, config.widths[0], 3),
      conv_out_(weights["decoder"][kConvOut], config.widths.back(),
                kColours * config.patch_size * config.patch_size, 3) {
  const Weights decoder = weights["decoder"];
  for (int64_t stage = 0; stage < kNumStages; ++stage) {
    const int64_t first = first_of(stage), made = config.frames_made[static_cast<size_t>(stage)];
    const int64_t width = config.widths[static_cast<size_t>(stage)],
                  next = config.widths[static_cast<size_t>(stage) + 1];
    std::vector<Block> blocks;
    for (int64_t block = 0; block < kBlocksInStage; ++block) {
      const Weights convs = decoder[first + block]["conv"];
      blocks.push_back({{convs[0], 2 * width, width, 3},
                        {convs[2], width, width, 3},
                        {convs[4], width, width, 3}});
    }
    stages_.push_back({std::move(blocks),
                       {decoder[first + kGrow]["conv"], width, made * width, 1, /*bias=*/false},
                       {decoder[first + kConv], width, next, /*bias=*/false},
                       made});
  }
  decoder.check_all_used();
}

void TinyVae::decode(const at::Tensor& latents_1ZFHW,
                     const std::function<void(const at::Tensor&)>& take_frames) const {
  constexpr double kMost = 3;  // latents are held softly below it
  const int64_t patch = config_.patch_size, left_out = config_.scale_factor_temporal() - 1;
  std::vector<at::Tensor> memories(static_cast<size_t>(kNumStages * kBlocksInStage));
  // All at once: to copy a frame at a time would be to wait for the ones before it.
  const at::Tensor latents_FHWZ = latents_1ZFHW[0].permute({1, 2, 3, 0}).to(device_, dtype_);
  for (int64_t f = 0; f < latents_1ZFHW.size(2); ++f) {
    at::Tensor x = latents_FHWZ.slice(0, f, f + 1);
    x = conv_in_((x / kMost).tanh().mul_(kMost).contiguous()).relu_();
    size_t memory = 0;
    for (const Stage& stage : stages_) {
      for (const Block& block : stage.blocks) x = block(x, memories[memory++]);
      // Pointwise, so before the pixels are doubled instead of after.
      x = stage.grow(x)
              .unflatten(3, {stage.frames_made, -1})
              .permute({0, 3, 1, 2, 4})
              .flatten(0, 1)
              .contiguous();
      x = stage.upsample(x);
    }
    at::Tensor frames = conv_out_(x.relu_()).to(at::kFloat);
    if (patch > 1) {  // channels are colour, row, column of the square
      frames = frames.unflatten(3, {kColours, patch, patch})
                   .permute({0, 1, 4, 2, 5, 3})
                   .flatten(3, 4)
                   .flatten(1, 2);
    }
    frames = frames.slice(0, f == 0 ? left_out : 0).clamp(0, 1).mul_(2).sub_(1);
    take_frames(frames.permute({3, 0, 1, 2}).unsqueeze(0));
  }
}

}  // namespace sora
