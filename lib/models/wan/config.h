// The config of WanTransformer3DModel and WanVACETransformer3DModel, as diffusers writes it to
// config.json.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace sora {

class ConfigReader;

struct WanTransformerConfig {
  std::array<int64_t, 3> patch_size = {1, 2, 2};  // latent frames, rows, columns of a token
  int64_t num_attention_heads = 40;
  int64_t attention_head_dim = 128;  // even
  int64_t in_channels = 16;
  int64_t out_channels = 16;
  int64_t text_dim = 4096;
  int64_t freq_dim = 256;  // width of the sinusoidal embedding of a timestep
  int64_t ffn_dim = 13824;
  int64_t num_layers = 40;
  bool cross_attn_norm = true;
  double eps = 1e-6;
  // Both or neither: width of the image encoder's hidden states, width of the image keys and values
  // (inner_dim()).
  std::optional<int64_t> image_dim;
  std::optional<int64_t> added_kv_proj_dim;
  // Image tokens of both images, where the model takes a first and a last.
  std::optional<int64_t> pos_embed_seq_len;
  int64_t rope_max_seq_len = 1024;  // most tokens along one axis
  // VACE: the layers after which the control branch's hints are added, rising from 0; empty where
  // the model has no such branch.
  std::vector<int64_t> vace_layers;
  int64_t vace_in_channels = 96;  // of the control branch

  int64_t inner_dim() const { return num_attention_heads * attention_head_dim; }
  bool has_control() const { return !vace_layers.empty(); }
  int64_t patch_volume() const { return patch_size[0] * patch_size[1] * patch_size[2]; }

  const char* class_name() const {
    return has_control() ? "WanVACETransformer3DModel" : "WanTransformer3DModel";
  }

  // Throws Error(Input) naming the field that is unknown, out of range, or contradicts another.
  static WanTransformerConfig from_config(const ConfigReader& config);
};

}  // namespace sora
