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

const LatentNormalisation kWan21 = {
    {-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508, 0.4134, -0.0715, 0.5517,
     -0.3632, -0.1922, -0.9497, 0.2503, -0.2921},
    {2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743, 3.2687, 2.1526, 2.8652, 1.5579,
     1.6382, 1.1253, 2.8251, 1.9160}};

const LatentNormalisation kWan22 = {
    {-0.2289, -0.0052, -0.1323, -0.2339, -0.2799, 0.0174,  0.1838,  0.1557,  -0.1382, 0.0542,
     0.2813,  0.0891,  0.157,   -0.0098, 0.0375,  -0.1825, -0.2246, -0.1207, -0.0698, 0.5109,
     0.2665,  -0.2108, -0.2158, 0.2502,  -0.2055, -0.0322, 0.1109,  0.1567,  -0.0729, 0.0899,
     -0.2799, -0.123,  -0.0313, -0.1649, 0.0117,  0.0723,  -0.2839, -0.2083, -0.052,  0.3748,
     0.0152,  0.1957,  0.1433,  -0.2944, 0.3573,  -0.0548, -0.1681, -0.0667},
    {0.4765, 1.0364, 0.4514, 1.1677, 0.5313, 0.499,  0.4818, 0.5013, 0.8158, 1.0344,
     0.5894, 1.0901, 0.6885, 0.6165, 0.8454, 0.4978, 0.5759, 0.3523, 0.7135, 0.6804,
     0.5833, 1.4146, 0.8986, 0.5659, 0.7069, 0.5338, 0.4889, 0.4917, 0.4069, 0.4999,
     0.6866, 0.4093, 0.5709, 0.6065, 0.6415, 0.4944, 0.5726, 1.2042, 0.5458, 1.6887,
     0.3971, 1.06,   0.3943, 0.5537, 0.5444, 0.4089, 0.7468, 0.7744}};

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

const LatentNormalisation* published_normalisation(int64_t z_dim) {
  for (const LatentNormalisation* each : {&kWan21, &kWan22}) {
    if (static_cast<int64_t>(each->mean.size()) == z_dim) return each;
  }
  return nullptr;
}

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
  config.latents_mean = file.get<std::vector<double>>("latents_mean", kWan21.mean);
  config.latents_std = file.get<std::vector<double>>("latents_std", kWan21.std);
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
