// The two networks of Wan's VAE, between patches of pixels and latents of one clip, a chunk at a
// time. Both forms are the same chain of stages; the residual form has a way around each of them,
// and names its weights otherwise.
//
// T frames, H height, W width, C channels, Z latent channels. Frames are [T,H,W,C] contiguous.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "lib/models/wan/vae_blocks.h"
#include "lib/models/wan/vae_config.h"
#include "lib/nn/conv.h"
#include "lib/nn/weights.h"

namespace sora {

// Residual blocks around an attention.
class WanVaeMiddle {
 public:
  WanVaeMiddle(const Weights& weights, int64_t channels);
  at::Tensor operator()(at::Tensor x_THWC, CausalCache& cache) const;

 private:
  WanVaeResidualBlock resnet_0_;
  WanVaeAttention attention_;
  WanVaeResidualBlock resnet_1_;
};

class WanVaeEncoder {
 public:
  // `weights` is the scope of the whole VAE.
  WanVaeEncoder(const WanVaeConfig& config, const Weights& weights);

  // One chunk of patches, the first frame of the clip or the next scale_factor_temporal ones, to
  // the mode of one latent frame: [1,H,W,Z]. Throws Error(Input) in the constructor where weights
  // do not fit.
  at::Tensor operator()(const at::Tensor& patches_THWC, CausalCache& cache) const;

 private:
  struct Stage {
    std::vector<WanVaeResidualBlock> resnets;
    std::vector<WanVaeAttention> attentions;  // one after each block, or none
    std::optional<WanVaeDownsample> downsample;
    std::optional<WanVaeAverageShortcut> shortcut;

    at::Tensor operator()(at::Tensor x_THWC, CausalCache& cache) const;
  };

  CausalConv3d conv_in_;
  std::vector<Stage> stages_;
  std::optional<WanVaeMiddle> middle_;
  std::optional<WanVaeNorm> norm_out_;
  std::optional<CausalConv3d> conv_out_;
  PointwiseConv quant_conv_;
  int64_t z_dim_;
};

class WanVaeDecoder {
 public:
  WanVaeDecoder(const WanVaeConfig& config, const Weights& weights);

  // One latent frame [1,H,W,Z] to the patches of the first frame of the clip or of the next
  // scale_factor_temporal ones. A patch is row, column, colour, the order of the pixels in a frame;
  // the checkpoint has it the other way round.
  at::Tensor operator()(const at::Tensor& latent_1HWZ, CausalCache& cache) const;

 private:
  struct Stage {
    std::vector<WanVaeResidualBlock> resnets;
    std::optional<WanVaeUpsample> upsample;
    std::optional<WanVaeDuplicateShortcut> shortcut;

    at::Tensor operator()(at::Tensor x_THWC, CausalCache& cache) const;
  };

  PointwiseConv post_quant_conv_;
  CausalConv3d conv_in_;
  WanVaeMiddle middle_;
  std::vector<Stage> stages_;
  std::optional<WanVaeNorm> norm_out_;
  std::optional<CausalConv3d> conv_out_;
};

}  // namespace sora
