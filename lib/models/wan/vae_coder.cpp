#include "lib/models/wan/vae_coder.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>

namespace sora {
namespace {

bool contains(const std::vector<double>& scales, double scale) {
  return std::find(scales.begin(), scales.end(), scale) != scales.end();
}

// Of the last convolution, so that a patch's pixels come row by row with their colours; undefined
// where pixels are no patches.
at::Tensor order_of_outputs(const WanVaeConfig& config, at::Device device) {
  if (config.patch_size == 1) return {};
  const int64_t patch = config.patch_size;
  return at::arange(config.out_channels, at::TensorOptions(at::kLong).device(device))
      .view({-1, patch, patch})  // colour, column, row
      .permute({2, 1, 0})
      .flatten();
}

}  // namespace

WanVaeMiddle::WanVaeMiddle(const Weights& weights, int64_t channels)
    : resnet_0_(weights["resnets"][0], channels, channels),
      attention_(weights["attentions"][0], channels),
      resnet_1_(weights["resnets"][1], channels, channels) {}

at::Tensor WanVaeMiddle::operator()(at::Tensor x_THWC, CausalCache& cache) const {
  return resnet_1_(attention_(resnet_0_(std::move(x_THWC), cache)), cache);
}

WanVaeEncoder::WanVaeEncoder(const WanVaeConfig& config, const Weights& weights)
    : conv_in_(weights["encoder"]["conv_in"], config.in_channels, config.base_dim),
      quant_conv_(weights["quant_conv"], 2 * config.z_dim, 2 * config.z_dim, 5),
      z_dim_(config.z_dim) {
  const Weights encoder = weights["encoder"];
  const Weights blocks = encoder["down_blocks"];
  int64_t channels = config.base_dim;
  int64_t index = 0;  // of the next block: the 2.1 form numbers them all in one row
  double scale = 1.0;
  for (int64_t level = 0; level < config.num_levels(); ++level) {
    const int64_t out_channels = config.base_dim * config.dim_mult[level];
    const bool last = level + 1 == config.num_levels();
    const bool temporal = !last && config.temperal_downsample[level];
    Stage stage;
    if (config.is_residual) {
      stage.shortcut.emplace(out_channels, temporal ? 2 : 1, last ? 1 : 2);
      for (int64_t block = 0; block < config.num_res_blocks; ++block) {
        stage.resnets.emplace_back(blocks[level]["resnets"][block], channels, out_channels);
        channels = out_channels;
      }
      if (!last) stage.downsample.emplace(blocks[level]["downsampler"], out_channels, temporal);
    } else {
      for (int64_t block = 0; block < config.num_res_blocks; ++block) {
        stage.resnets.emplace_back(blocks[index++], channels, out_channels);
        if (contains(config.attn_scales, scale))
          stage.attentions.emplace_back(blocks[index++], out_channels);
        channels = out_channels;
      }
      if (!last) stage.downsample.emplace(blocks[index++], out_channels, temporal);
      scale /= 2;
    }
    stages_.push_back(std::move(stage));
  }
  middle_.emplace(encoder["mid_block"], channels);
  norm_out_.emplace(encoder["norm_out"], channels, 4);
  conv_out_.emplace(encoder["conv_out"], channels, 2 * config.z_dim);
}

at::Tensor WanVaeEncoder::Stage::operator()(at::Tensor x_THWC, CausalCache& cache) const {
  const at::Tensor around = shortcut ? (*shortcut)(x_THWC) : at::Tensor();
  for (size_t i = 0; i < resnets.size(); ++i) {
    x_THWC = resnets[i](std::move(x_THWC), cache);
    if (!attentions.empty()) x_THWC = attentions[i](x_THWC);
  }
  if (downsample) x_THWC = (*downsample)(x_THWC, cache);
  return shortcut ? x_THWC.add_(around) : x_THWC;
}

at::Tensor WanVaeEncoder::operator()(const at::Tensor& patches_THWC, CausalCache& cache) const {
  at::Tensor x = conv_in_(patches_THWC, cache);
  for (const Stage& stage : stages_) x = stage(std::move(x), cache);
  x = (*middle_)(std::move(x), cache);
  x = (*conv_out_)(norm_out_->silu_window(x, cache));
  return quant_conv_(x).narrow(3, 0, z_dim_);  // the rest is the logarithm of the variance
}

WanVaeDecoder::WanVaeDecoder(const WanVaeConfig& config, const Weights& weights)
    : post_quant_conv_(weights["post_quant_conv"], config.z_dim, config.z_dim, 5),
      conv_in_(weights["decoder"]["conv_in"], config.z_dim,
               config.decoder_base_dim * config.dim_mult.back()),
      middle_(weights["decoder"]["mid_block"], config.decoder_base_dim * config.dim_mult.back()) {
  const Weights decoder = weights["decoder"];
  int64_t channels = config.decoder_base_dim * config.dim_mult.back();
  for (int64_t index = 0; index < config.num_levels(); ++index) {
    const int64_t level = config.num_levels() - 1 - index;
    const int64_t out_channels = config.decoder_base_dim * config.dim_mult[level];
    const bool last = level == 0;
    const bool temporal = !last && config.temperal_downsample[level - 1];
    const Weights block = decoder["up_blocks"][index];
    Stage stage;
    if (config.is_residual && !last) {
      stage.shortcut.emplace(channels, out_channels, temporal ? 2 : 1);
    }
    for (int64_t resnet = 0; resnet <= config.num_res_blocks; ++resnet) {
      stage.resnets.emplace_back(block["resnets"][resnet], channels, out_channels);
      channels = out_channels;
    }
    if (!last && config.is_residual) {
      stage.upsample.emplace(block["upsampler"], channels, channels, temporal);
    } else if (!last) {
      stage.upsample.emplace(block["upsamplers"][0], channels, channels / 2, temporal);
      channels /= 2;
    }
    stages_.push_back(std::move(stage));
  }
  norm_out_.emplace(decoder["norm_out"], channels, 4);
  conv_out_.emplace(decoder["conv_out"], channels, config.out_channels,
                    std::array<int64_t, 3>{3, 3, 3}, /*temporal_stride=*/1,
                    order_of_outputs(config, weights.device()));
}

at::Tensor WanVaeDecoder::Stage::operator()(at::Tensor x_THWC, CausalCache& cache) const {
  const at::Tensor around = shortcut ? x_THWC : at::Tensor();
  for (size_t i = 0; i < resnets.size(); ++i) {
    const bool x_is_spare = i > 0 || !shortcut;
    x_THWC = resnets[i](std::move(x_THWC), cache, x_is_spare);
  }
  if (upsample) x_THWC = (*upsample)(x_THWC, cache);
  if (shortcut) shortcut->add_to(x_THWC, around, cache.first_chunk());
  return x_THWC;
}

at::Tensor WanVaeDecoder::operator()(const at::Tensor& latent_1HWZ, CausalCache& cache) const {
  at::Tensor x = middle_(conv_in_(post_quant_conv_(latent_1HWZ), cache), cache);
  for (const Stage& stage : stages_) x = stage(std::move(x), cache);
  return (*conv_out_)(norm_out_->silu_window(x, cache));
}

}  // namespace sora
