// TAEHV, the tiny decoders that stand in for Wan's VAE (github.com/madebyollin/taehv): taew2_1 for
// latents of 16 channels at 8x8x4, taew2_2 for 48 at 16x16x4. About a twentieth of the work, at a
// visible loss of detail. Names and shapes are those of its checkpoints, "decoder.N...".
//
// Decoded frame after frame: each block sees its input and the same input of one frame earlier,
// zeros before the first. A latent frame becomes four frames, of which the first one's first three
// are left out, as the causal VAE makes one frame of it.
//
// F frames, H height, W width; Z latent channels
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "lib/nn/conv.h"

namespace sora {

struct TinyVaeConfig {
  int64_t latent_channels = 16;
  int64_t patch_size = 1;            // pixels of a side that the last layer makes of one
  std::vector<int64_t> widths;       // of the three stages and what follows them
  std::vector<int64_t> frames_made;  // by each stage of one: 1 or 2
  int64_t scale_factor_spatial() const { return 8 * patch_size; }
  int64_t scale_factor_temporal() const;

  // What the shapes of the tensors say. Throws Error(Input) where they are no such decoder's.
  static TinyVaeConfig from_shapes(const Checkpoint& checkpoint);
};

class TinyVae {
 public:
  // Throws Error(Input) naming a weight of the decoder that is missing, misshapen or has no place.
  TinyVae(const TinyVaeConfig& config, const Weights& weights);

  const TinyVaeConfig& config() const { return config_; }

  // latents [1,Z,F,h,w], normalised, on any device. Hands over [1,3,f,H,W] f32 in [-1,1]: frame 0,
  // then 4 at a time.
  void decode(const at::Tensor& latents_1ZFHW,
              const std::function<void(const at::Tensor& frames_1CFHW)>& take_frames) const;

 private:
  struct Block {  // three convolutions beside the input
    SpatialConv first, second, third;
    at::Tensor operator()(const at::Tensor& x_THWC, at::Tensor& memory_1HWC) const;
  };
  struct Stage {
    std::vector<Block> blocks;
    SpatialConv grow;  // pointwise
    UpsampleConv upsample;
    int64_t frames_made;
  };

  TinyVaeConfig config_;
  at::ScalarType dtype_;
  at::Device device_;
  SpatialConv conv_in_;
  std::vector<Stage> stages_;
  SpatialConv conv_out_;
};

}  // namespace sora
