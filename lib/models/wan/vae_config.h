// The config of diffusers' AutoencoderKLWan: Wan 2.1's form, and the residual, patchified form of
// Wan 2.2.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/core/config_reader.h"

namespace sora {

// Field names are diffusers' own. The defaults are Wan 2.1's.
struct WanVaeConfig {
  int64_t base_dim = 96;
  int64_t decoder_base_dim = 96;  // base_dim where the file says nothing
  int64_t z_dim = 16;
  std::vector<int64_t> dim_mult = {1, 2, 4, 4};
  int64_t num_res_blocks = 2;
  // Scales of the 2.1 form's encoder that have attention after each block.
  std::vector<double> attn_scales;
  std::vector<bool> temperal_downsample = {false, true, true};
  double dropout = 0.0;              // of training alone
  std::vector<double> latents_mean;  // z_dim each
  std::vector<double> latents_std;
  bool is_residual = false;
  int64_t in_channels = 3;  // after patchifying
  int64_t out_channels = 3;
  int64_t patch_size = 1;  // 1 where the file has null
  int64_t scale_factor_temporal = 4;
  int64_t scale_factor_spatial = 8;
  bool clip_output = true;  // clamp decoded frames to [-1,1]

  // Throws Error(Input) naming a field that is unknown, of the wrong type, or at odds with the
  // others.
  static WanVaeConfig from_config(const ConfigReader& config);

  int64_t num_levels() const { return static_cast<int64_t>(dim_mult.size()); }
};

// What the latents are brought to mean 0 and deviation 1 with; z_dim numbers each.
struct LatentNormalisation {
  std::vector<double> mean;
  std::vector<double> std;
};

// That of the published VAE with as many latent channels, null where there is none.
const LatentNormalisation* published_normalisation(int64_t z_dim);

}  // namespace sora
