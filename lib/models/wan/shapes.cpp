#include "lib/models/wan/shapes.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <string>

#include "lib/core/error.h"
#include "lib/models/wan/vae_config.h"

namespace sora {
namespace {

using nlohmann::json;

constexpr int64_t kHeadWidth = 128;  // of every published transformer
constexpr int64_t kMaxLayers = 1024;
constexpr const char* kControlPatch = "vace_patch_embedding.weight";
constexpr const char* kControlBlock = "vace_blocks.{}.attn1.to_q.weight";

int64_t extent(const Checkpoint& checkpoint, const std::string& name, size_t rank, size_t axis) {
  const TensorInfo& info = checkpoint.info(name);
  if (info.shape.size() != rank) {
    fail(ErrorKind::Input, "{}: {} has {} dimensions, expected {}", checkpoint.description(), name,
         info.shape.size(), rank);
  }
  return info.shape[axis];
}

// The least n for which there is no such tensor; `name` holds a "{}".
int64_t count(const Checkpoint& checkpoint, const std::string& name) {
  int64_t n = 0;
  while (n < kMaxLayers && checkpoint.has(fmt::format(fmt::runtime(name), n))) ++n;
  return n;
}

json or_null(bool present, int64_t value) { return present ? json(value) : json(); }

// One level of the encoder: its channels, its blocks, and how it goes down to the next.
struct Level {
  int64_t channels = 0;
  int64_t num_blocks = 0;
  bool down = false;
  bool temporal = false;
};

// Wan 2.2 lists blocks within levels.
std::vector<Level> nested_levels(const Checkpoint& checkpoint) {
  std::vector<Level> levels;
  for (int64_t i = 0;; ++i) {
    const std::string at = fmt::format("encoder.down_blocks.{}.", i);
    const int64_t blocks = count(checkpoint, at + "resnets.{}.conv1.weight");
    if (blocks == 0) return levels;
    levels.push_back({extent(checkpoint, at + "resnets.0.conv1.weight", 5, 0), blocks,
                      checkpoint.has(at + "downsampler.resample.1.weight"),
                      checkpoint.has(at + "downsampler.time_conv.weight")});
  }
}

// Wan 2.1 lists blocks and downsamplings in one row.
std::vector<Level> flat_levels(const Checkpoint& checkpoint) {
  std::vector<Level> levels(1);
  for (int64_t i = 0; i < kMaxLayers; ++i) {
    const std::string at = fmt::format("encoder.down_blocks.{}.", i);
    if (checkpoint.has(at + "conv1.weight")) {
      levels.back().channels = extent(checkpoint, at + "conv1.weight", 5, 0);
      ++levels.back().num_blocks;
    } else if (checkpoint.has(at + "resample.1.weight")) {
      levels.back().down = true;
      levels.back().temporal = checkpoint.has(at + "time_conv.weight");
      levels.emplace_back();
    } else {
      break;
    }
  }
  return levels;
}

// In every published model the control branch serves layers at equal distances, from the first on.
std::vector<int64_t> vace_layers(const Checkpoint& checkpoint, int64_t num_control,
                                 int64_t num_layers) {
  if (num_control == 0 || num_layers % num_control != 0) {
    fail(
        ErrorKind::Input,
        "{}: {} control blocks do not lie at equal distances over {} layers; a diffusers directory "
        "with config.json can say where they do",
        checkpoint.description(), num_control, num_layers);
  }
  std::vector<int64_t> layers;
  for (int64_t i = 0; i < num_control; ++i) layers.push_back(i * (num_layers / num_control));
  return layers;
}

}  // namespace

json transformer_config_from_shapes(const Checkpoint& checkpoint) {
  const std::string patch = "patch_embedding.weight";
  const int64_t width = extent(checkpoint, patch, 5, 0);
  if (width % kHeadWidth != 0 || width == 0) {
    fail(ErrorKind::Input,
         "{}: is {} wide, which is no multiple of {}, the width of a head in every published Wan "
         "model; a diffusers directory with config.json can say otherwise",
         checkpoint.description(), width, kHeadWidth);
  }
  const std::vector<int64_t> patch_size(checkpoint.info(patch).shape.begin() + 2,
                                        checkpoint.info(patch).shape.end());
  const int64_t patch_volume = patch_size[0] * patch_size[1] * patch_size[2];
  const int64_t out = extent(checkpoint, "proj_out.weight", 2, 0);
  if (patch_volume < 1 || out % patch_volume != 0) {
    fail(ErrorKind::Input, "{}: proj_out has {} rows, expected a multiple of the patch's {} values",
         checkpoint.description(), out, patch_volume);
  }
  const std::string image = "condition_embedder.image_embedder.";
  const bool has_image = checkpoint.has(image + "norm1.weight");
  const bool has_positions = checkpoint.has(image + "pos_embed");
  json config = {
      {"_class_name", "WanTransformer3DModel"},
      {"patch_size", patch_size},
      {"num_attention_heads", width / kHeadWidth},
      {"attention_head_dim", kHeadWidth},
      {"in_channels", extent(checkpoint, patch, 5, 1)},
      {"out_channels", out / patch_volume},
      {"text_dim", extent(checkpoint, "condition_embedder.text_embedder.linear_1.weight", 2, 1)},
      {"freq_dim", extent(checkpoint, "condition_embedder.time_embedder.linear_1.weight", 2, 1)},
      {"ffn_dim", extent(checkpoint, "blocks.0.ffn.net.0.proj.weight", 2, 0)},
      {"num_layers", count(checkpoint, "blocks.{}.attn1.to_q.weight")},
      {"cross_attn_norm", checkpoint.has("blocks.0.norm2.weight")},
      {"qk_norm", "rms_norm_across_heads"},
      {"eps", 1e-6},
      {"image_dim",
       or_null(has_image, has_image ? extent(checkpoint, image + "norm1.weight", 1, 0) : 0)},
      {"added_kv_proj_dim", or_null(checkpoint.has("blocks.0.attn2.add_k_proj.weight"), width)},
      {"pos_embed_seq_len",
       or_null(has_positions, has_positions ? extent(checkpoint, image + "pos_embed", 3, 1) : 0)},
      {"rope_max_seq_len", 1024},
  };
  if (checkpoint.has(kControlPatch)) {
    config["_class_name"] = "WanVACETransformer3DModel";
    config["vace_in_channels"] = extent(checkpoint, kControlPatch, 5, 1);
    config["vace_layers"] = vace_layers(checkpoint, count(checkpoint, kControlBlock),
                                        config["num_layers"].get<int64_t>());
  }
  return config;
}

void add_control_branch(const Checkpoint& control, const std::vector<int64_t>& layers,
                        WanTransformerConfig& transformer) {
  const int64_t width = extent(control, kControlPatch, 5, 0);
  const int64_t ffn = extent(control, "vace_blocks.0.ffn.net.0.proj.weight", 2, 0);
  if (width != transformer.inner_dim() || ffn != transformer.ffn_dim) {
    fail(ErrorKind::Input,
         "{}: is the control branch of a transformer {} wide with feed-forward layers of {}, but "
         "this one is {} wide with {}; published are modules for 1.3B (1536 wide) and 14B (5120)",
         control.description(), width, ffn, transformer.inner_dim(), transformer.ffn_dim);
  }
  const int64_t num_blocks = count(control, kControlBlock);
  transformer.vace_layers =
      layers.empty() ? vace_layers(control, num_blocks, transformer.num_layers) : layers;
  if (static_cast<int64_t>(transformer.vace_layers.size()) != num_blocks ||
      transformer.vace_layers.back() >= transformer.num_layers) {
    fail(
        ErrorKind::Input,
        "{}: its {} control blocks are for the layers [{}] by its config, which do not belong to a "
        "transformer of {} layers",
        control.description(), num_blocks, fmt::join(transformer.vace_layers, ", "),
        transformer.num_layers);
  }
  transformer.vace_in_channels = extent(control, kControlPatch, 5, 1);
}

json vae_config_from_shapes(const Checkpoint& checkpoint) {
  const bool residual = checkpoint.has("encoder.down_blocks.0.resnets.0.conv1.weight");
  const std::vector<Level> levels = residual ? nested_levels(checkpoint) : flat_levels(checkpoint);
  const int64_t base_dim = extent(checkpoint, "encoder.conv_in.weight", 5, 0);
  const int64_t in_channels = extent(checkpoint, "encoder.conv_in.weight", 5, 1);
  const int64_t z_dim = extent(checkpoint, "post_quant_conv.weight", 5, 0);
  const int64_t patch_size = std::llround(std::sqrt(static_cast<double>(in_channels) / 3.0));

  std::vector<int64_t> dim_mult;
  std::vector<bool> temporal;
  for (size_t i = 0; i < levels.size(); ++i) {
    const bool last = i + 1 == levels.size();
    if (base_dim == 0 || levels[i].channels < base_dim || levels[i].channels % base_dim != 0 ||
        levels[i].num_blocks == 0 || levels[i].num_blocks != levels[0].num_blocks ||
        levels[i].down == last) {
      fail(ErrorKind::Input, "{}: the encoder's level {} is not that of a Wan VAE",
           checkpoint.description(), i);
    }
    dim_mult.push_back(levels[i].channels / base_dim);
    if (!last) temporal.push_back(levels[i].temporal);
  }
  const LatentNormalisation* latents = published_normalisation(z_dim);
  if (!latents) {
    fail(ErrorKind::Input,
         "{}: has {} latent channels; the mean and deviation of its latents are only known for 16 "
         "(Wan 2.1) and 48 (Wan 2.2), so it needs a diffusers directory with config.json",
         checkpoint.description(), z_dim);
  }
  const int64_t decoder_dim = extent(checkpoint, "decoder.conv_in.weight", 5, 0) / dim_mult.back();
  json config = {
      {"_class_name", "AutoencoderKLWan"},
      {"base_dim", base_dim},
      {"z_dim", z_dim},
      {"dim_mult", dim_mult},
      {"num_res_blocks", levels[0].num_blocks},
      {"temperal_downsample", temporal},
      {"latents_mean", latents->mean},
      {"latents_std", latents->std},
      {"is_residual", residual},
      {"in_channels", in_channels},
      {"out_channels", extent(checkpoint, "decoder.conv_out.weight", 5, 0)},
      {"scale_factor_temporal", int64_t{1} << std::count(temporal.begin(), temporal.end(), true)},
      {"scale_factor_spatial", (int64_t{1} << temporal.size()) * patch_size},
      {"decoder_base_dim", or_null(decoder_dim != base_dim, decoder_dim)},
  };
  config["patch_size"] = patch_size > 1 ? json(patch_size) : json();
  return config;
}

json image_encoder_config_from_shapes(const Checkpoint& checkpoint) {
  // Hidden size and heads of the published ViT-B, ViT-L and ViT-H; Wan uses the last.
  constexpr int64_t kHeads[][2] = {{768, 12}, {1024, 16}, {1280, 16}};
  const std::string patches = "embeddings.patch_embedding.weight";
  const int64_t width = extent(checkpoint, patches, 4, 0);
  const int64_t patch = extent(checkpoint, patches, 4, 2);
  const int64_t tokens = extent(checkpoint, "embeddings.position_embedding.weight", 2, 0);
  const auto* row = std::find_if(std::begin(kHeads), std::end(kHeads),
                                 [&](const int64_t(&each)[2]) { return each[0] == width; });
  if (row == std::end(kHeads)) {
    fail(ErrorKind::Input, "{}: an image encoder {} wide is unknown; expected CLIP ViT-H's 1280",
         checkpoint.description(), width);
  }
  const int64_t side = std::llround(std::sqrt(static_cast<double>(tokens - 1)));
  return {
      {"architectures", {"CLIPVisionModel"}},
      {"hidden_size", width},
      {"intermediate_size", extent(checkpoint, "encoder.layers.0.mlp.fc1.weight", 2, 0)},
      {"num_hidden_layers", count(checkpoint, "encoder.layers.{}.mlp.fc1.weight")},
      {"num_attention_heads", (*row)[1]},
      {"image_size", side * patch},
      {"patch_size", patch},
      {"hidden_act", width == 1280 ? "gelu" : "quick_gelu"},
  };
}

}  // namespace sora
