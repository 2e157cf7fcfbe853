#include "lib/models/wan/vae_config.h"

#include <algorithm>
#include <string_view>

#include "lib/core/error.h"

namespace sora {
namespace {

// Sizes beyond these are no model but a broken file, and would overflow what is computed from them.
constexpr int64_t kMaxDim = 1 << 16;
constexpr int64_t kMaxMultiplier = 1 << 10;
constexpr int64_t kMaxBlocks = 1 << 10;
constexpr int64_t kMaxLevels = 8;
constexpr int64_t kMaxPatch = 64;

const std::vector<double> kWan21Mean = {-0.7571, -0.7089, -0.9113, 0.1075,  -0.1745, 0.9653,
                                        -0.1517, 1.5508,  0.4134,  -0.0715, 0.5517,  -0.3632,
                                        -0.1922, -0.9497, 0.2503,  -0.2921};
const std::vector<double> kWan21Std = {2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708,
                                       2.6052, 2.0743, 3.2687, 2.1526, 2.8652, 1.5579,
                                       1.6382, 1.1253, 2.8251, 1.9160};

void check_range(const ConfigReader& file, std::string_view field, int64_t value, int64_t most) {
  if (value >= 1 && value <= most) return;
  fail(ErrorKind::Input, "{}: {} is {}, expected 1 to {}", file.description(), field, value, most);
}

void check_equal(const ConfigReader& file, std::string_view field, int64_t found, int64_t wanted,
                 std::string_view why) {
  if (found == wanted) return;
  fail(ErrorKind::Input, "{}: {} is {}, expected {} ({})", file.description(), field, found, wanted,
       why);
}

void check_channels(const ConfigReader& file, std::string_view field, int64_t channels,
                    int64_t patch_size) {
  check_range(file, field, channels, kMaxDim);
  if (channels % (patch_size * patch_size) == 0) return;
  fail(ErrorKind::Input, "{}: {} is {}, expected a multiple of {} (patch_size {} squared)",
       file.description(), field, channels, patch_size * patch_size, patch_size);
}

// The residual form averages groups of channels on its shortcuts; the groups have to come out even.
void check_shortcuts(const ConfigReader& file, const WanVaeConfig& config) {
  const std::vector<int64_t>& mult = config.dim_mult;
  for (int64_t level = 0; level + 1 < config.num_levels(); ++level) {
    const int64_t factor = (config.temperal_downsample[level] ? 2 : 1) * 4;
    const int64_t encoder_in = level == 0 ? 1 : mult[level - 1];
    const int64_t decoder_level = config.num_levels() - 1 - level;
    const int64_t decoder_in = level == 0 ? mult.back() : mult[decoder_level + 1];
    const int64_t up_factor = (config.temperal_downsample[decoder_level - 1] ? 2 : 1) * 4;
    if (encoder_in * factor % mult[level] != 0 ||
        mult[decoder_level] * up_factor % decoder_in != 0) {
      fail(ErrorKind::Input,
           "{}: dim_mult has steps between levels that a residual shortcut cannot bridge",
           file.description());
    }
  }
  if (config.num_levels() > 1 && mult[mult.size() - 2] % mult.back() != 0) {
    fail(ErrorKind::Input,
         "{}: the last two of dim_mult are {} and {}, expected the first to be a multiple of the "
         "second",
         file.description(), mult[mult.size() - 2], mult.back());
  }
}

// In the 2.1 form each upsampling halves the channels, rounding down.
void check_halving(const ConfigReader& file, const WanVaeConfig& config) {
  for (int64_t level = 1; level < config.num_levels(); ++level) {
    if (config.decoder_base_dim * config.dim_mult[level] >= 2) continue;
    fail(ErrorKind::Input,
         "{}: the decoder has 1 channel at level {} of dim_mult, which cannot be halved",
         file.description(), level);
  }
}

void check(const ConfigReader& file, const WanVaeConfig& config) {
  check_range(file, "base_dim", config.base_dim, kMaxDim);
  check_range(file, "decoder_base_dim", config.decoder_base_dim, kMaxDim);
  check_range(file, "z_dim", config.z_dim, kMaxDim);
  check_range(file, "num_res_blocks", config.num_res_blocks, kMaxBlocks);
  check_range(file, "patch_size", config.patch_size, kMaxPatch);
  check_range(file, "the number of elements of dim_mult", config.num_levels(), kMaxLevels);
  for (const int64_t mult : config.dim_mult)
    check_range(file, "an element of dim_mult", mult, kMaxMultiplier);
  check_equal(file, "the number of elements of temperal_downsample",
              static_cast<int64_t>(config.temperal_downsample.size()), config.num_levels() - 1,
              "one less than dim_mult");
  check_channels(file, "in_channels", config.in_channels, config.patch_size);
  check_channels(file, "out_channels", config.out_channels, config.patch_size);

  const int64_t halvings =
      std::count(config.temperal_downsample.begin(), config.temperal_downsample.end(), true);
  check_equal(file, "scale_factor_temporal", config.scale_factor_temporal, int64_t{1} << halvings,
              "2 for each true in temperal_downsample, multiplied");
  check_equal(file, "scale_factor_spatial", config.scale_factor_spatial,
              (int64_t{1} << (config.num_levels() - 1)) * config.patch_size,
              "2 for each level of dim_mult after the first, multiplied, times patch_size");

  check_equal(file, "the number of elements of latents_mean",
              static_cast<int64_t>(config.latents_mean.size()), config.z_dim, "z_dim");
  check_equal(file, "the number of elements of latents_std",
              static_cast<int64_t>(config.latents_std.size()), config.z_dim, "z_dim");
  if (std::any_of(config.latents_std.begin(), config.latents_std.end(),
                  [](double std) { return !(std > 0); }))
    fail(ErrorKind::Input, "{}: latents_std has elements that are not above 0", file.description());
  config.is_residual ? check_shortcuts(file, config) : check_halving(file, config);
}

}  // namespace

WanVaeConfig WanVaeConfig::from_config(const ConfigReader& file) {
  file.expect_class("AutoencoderKLWan");
  WanVaeConfig config;
  config.base_dim = file.get<int64_t>("base_dim", config.base_dim);
  config.decoder_base_dim = file.get<int64_t>("decoder_base_dim", config.base_dim);
  config.z_dim = file.get<int64_t>("z_dim", config.z_dim);
  config.dim_mult = file.get<std::vector<int64_t>>("dim_mult", config.dim_mult);
  config.num_res_blocks = file.get<int64_t>("num_res_blocks", config.num_res_blocks);
  config.attn_scales = file.get<std::vector<double>>("attn_scales", config.attn_scales);
  config.temperal_downsample =
      file.get<std::vector<bool>>("temperal_downsample", config.temperal_downsample);
  config.dropout = file.get<double>("dropout", config.dropout);
  config.latents_mean = file.get<std::vector<double>>("latents_mean", kWan21Mean);
  config.latents_std = file.get<std::vector<double>>("latents_std", kWan21Std);
  config.is_residual = file.get<bool>("is_residual", config.is_residual);
  config.in_channels = file.get<int64_t>("in_channels", config.in_channels);
  config.out_channels = file.get<int64_t>("out_channels", config.out_channels);
  config.patch_size = file.get<int64_t>("patch_size", config.patch_size);
  config.scale_factor_temporal =
      file.get<int64_t>("scale_factor_temporal", config.scale_factor_temporal);
  config.scale_factor_spatial =
      file.get<int64_t>("scale_factor_spatial", config.scale_factor_spatial);
  config.clip_output = file.get<bool>("clip_output", config.clip_output);
  file.check_all_read();
  check(file, config);
  return config;
}

}  // namespace sora
