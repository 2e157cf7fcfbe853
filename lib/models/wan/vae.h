// AutoencoderKLWan: the causal video VAE of Wan 2.1 (8x8x4, arXiv 2503.20314 section 4.1) and
// Wan 2.2 (16x16x4, residual and patchified), equal to diffusers' class of that name at any config.
//
// Both directions are streamed: the first frame of a clip is a chunk, every scale_factor_temporal
// frames after it are the next, and each causal convolution remembers two frames of the chunk
// before. So memory does not grow with the length, and frame n does not depend on what comes after
// its chunk.
//
// B batch, C colour channels, F frames, H height, W width in pixels; Z latent channels
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>
#include <vector>

#include "lib/models/wan/vae_coder.h"
#include "lib/models/wan/vae_config.h"
#include "lib/models/wan/vae_tiling.h"
#include "lib/nn/weights.h"

namespace sora {

enum class WanVaeParts { Both, Encoder, Decoder };

class WanVae {
 public:
  // Loads the parts asked for, in the type of `weights`. Throws Error(Input) naming a weight that
  // is missing, misshapen, or has no place in these parts.
  WanVae(const WanVaeConfig& config, const Weights& weights, WanVaeParts parts = WanVaeParts::Both);

  const WanVaeConfig& config() const { return config_; }

  // Frames larger than a tile are cut into tiles from now on; memory then grows with the length by
  // what one pixel of the frames takes. Throws Error(Usage) where the tiling does not fit this
  // VAE's grid.
  void set_tiling(const std::optional<WanVaeTiling>& tiling);

  // Frames [first, first + count) of the clip, [B,C,count,H,W] in [-1,1].
  using ReadFrames = std::function<at::Tensor(int64_t first, int64_t count)>;
  // [B,C,f,H,W] f32 in [-1,1] (beyond it where the config's clip_output is false), channels last in
  // memory.
  using TakeFrames = std::function<void(const at::Tensor& frames_BCFHW)>;
  // Called between pieces of work during which no frames are read or taken; may throw to stop.
  using BetweenTiles = std::function<void()>;

  // The mode of the posterior, normalised by latents_mean and latents_std: [B,Z,(F-1)/4+1,H/s,W/s]
  // f32. F is 4n+1, H and W are multiples of s = scale_factor_spatial; throws Error(Input)
  // otherwise.
  at::Tensor encode(const at::Tensor& video_BCFHW) const;
  // The same, reading chunk after chunk: frame 0, then 4 at a time.
  at::Tensor encode(int64_t num_frames, const ReadFrames& read_frames,
                    const BetweenTiles& between_tiles = {}) const;

  // Hands over the frames chunk by chunk in order: frame 0, then 4 at a time.
  void decode(const at::Tensor& latents_BZFHW, const TakeFrames& take_frames,
              const BetweenTiles& between_tiles = {}) const;

 private:
  at::Tensor normalised(const at::Tensor& latents_BFHWZ) const;
  at::Tensor denormalised(const at::Tensor& latents_BZFHW) const;
  at::Tensor to_patches(const at::Tensor& frames_CFHW) const;
  at::Tensor to_pixels(const at::Tensor& patches_FHWC) const;
  at::Tensor encode_tiled(int64_t num_chunks, const std::function<at::Tensor(int64_t)>& read_chunk,
                          at::Tensor first_chunk, const BetweenTiles& between_tiles) const;
  void decode_tiled(const at::Tensor& latents_BFHWZ, const TakeFrames& take_frames,
                    const BetweenTiles& between_tiles) const;

  WanVaeConfig config_;
  at::ScalarType dtype_;
  at::Device device_;
  at::Tensor mean_Z_, std_Z_;
  std::optional<WanVaeTiling> tiling_;
  std::optional<WanVaeEncoder> encoder_;
  std::optional<WanVaeDecoder> decoder_;
};

}  // namespace sora
