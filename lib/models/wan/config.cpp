#include "lib/models/wan/config.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/core/config_reader.h"
#include "lib/core/error.h"

namespace sora {
namespace {

int64_t positive(const ConfigReader& config, const char* field, int64_t default_value) {
  const int64_t value = config.get<int64_t>(field, default_value);
  if (value < 1)
    fail(ErrorKind::Input, "{}: {} is {}, expected 1 or more", config.description(), field, value);
  return value;
}

std::optional<int64_t> optional_positive(const ConfigReader& config, const char* field) {
  const auto value = config.get_optional<int64_t>(field);
  if (value && *value < 1) {
    fail(ErrorKind::Input, "{}: {} is {}, expected 1 or more, or null", config.description(), field,
         *value);
  }
  return value;
}

std::array<int64_t, 3> patch_size(const ConfigReader& config) {
  const auto sizes = config.get<std::vector<int64_t>>("patch_size", {1, 2, 2});
  if (sizes.size() != 3 ||
      std::any_of(sizes.begin(), sizes.end(), [](int64_t size) { return size < 1; })) {
    fail(ErrorKind::Input,
         "{}: patch_size has {} numbers, expected three of 1 or more: frames, height, width",
         config.description(), sizes.size());
  }
  return {sizes[0], sizes[1], sizes[2]};
}

void check_image_branch(const ConfigReader& config, const WanTransformerConfig& wan) {
  if (wan.image_dim.has_value() != wan.added_kv_proj_dim.has_value()) {
    fail(ErrorKind::Input,
         "{}: image_dim and added_kv_proj_dim belong together, but only {} is set",
         config.description(), wan.image_dim ? "image_dim" : "added_kv_proj_dim");
  }
  if (wan.added_kv_proj_dim && *wan.added_kv_proj_dim != wan.inner_dim()) {
    fail(ErrorKind::Input,
         "{}: added_kv_proj_dim is {}, expected num_attention_heads * attention_head_dim = {}",
         config.description(), *wan.added_kv_proj_dim, wan.inner_dim());
  }
  if (wan.pos_embed_seq_len && !wan.image_dim) {
    fail(ErrorKind::Input, "{}: pos_embed_seq_len is set without image_dim", config.description());
  }
}

// The k-th block of the control branch serves the k-th of these layers.
std::vector<int64_t> vace_layers(const ConfigReader& config, int64_t num_layers) {
  const auto layers =
      config.get<std::vector<int64_t>>("vace_layers", {0, 5, 10, 15, 20, 25, 30, 35});
  if (layers.empty() || layers.front() != 0 || layers.back() >= num_layers ||
      !std::is_sorted(layers.begin(), layers.end(), std::less_equal<>())) {
    fail(
        ErrorKind::Input,
        "{}: vace_layers [{}] are not layers that rise from 0, each once and below num_layers = {}",
        config.description(), fmt::join(layers, ", "), num_layers);
  }
  return layers;
}

bool is_vace(const ConfigReader& config) {
  const auto& object = config.object();
  const auto name = object.find("_class_name");
  return name != object.end() && *name == "WanVACETransformer3DModel";
}

}  // namespace

WanTransformerConfig WanTransformerConfig::from_config(const ConfigReader& config) {
  const bool vace = is_vace(config);
  if (!vace) config.expect_class("WanTransformer3DModel");
  WanTransformerConfig wan;
  wan.patch_size = sora::patch_size(config);
  wan.num_attention_heads = positive(config, "num_attention_heads", wan.num_attention_heads);
  wan.attention_head_dim = positive(config, "attention_head_dim", wan.attention_head_dim);
  wan.in_channels = positive(config, "in_channels", wan.in_channels);
  // diffusers takes null and 0 for "as many as come in".
  wan.out_channels = config.get<int64_t>(
      "out_channels", config.object().contains("out_channels") ? 0 : wan.out_channels);
  if (wan.out_channels == 0) wan.out_channels = wan.in_channels;
  if (wan.out_channels < 0) {
    fail(ErrorKind::Input, "{}: out_channels is {}, expected 1 or more", config.description(),
         wan.out_channels);
  }
  wan.text_dim = positive(config, "text_dim", wan.text_dim);
  wan.freq_dim = positive(config, "freq_dim", wan.freq_dim);
  wan.ffn_dim = positive(config, "ffn_dim", wan.ffn_dim);
  wan.num_layers = positive(config, "num_layers", wan.num_layers);
  wan.cross_attn_norm = config.get<bool>("cross_attn_norm", wan.cross_attn_norm);
  wan.eps = config.get<double>("eps", wan.eps);
  wan.image_dim = optional_positive(config, "image_dim");
  wan.added_kv_proj_dim = optional_positive(config, "added_kv_proj_dim");
  wan.pos_embed_seq_len = optional_positive(config, "pos_embed_seq_len");
  wan.rope_max_seq_len = positive(config, "rope_max_seq_len", wan.rope_max_seq_len);
  if (vace) {
    wan.vace_layers = sora::vace_layers(config, wan.num_layers);
    wan.vace_in_channels = positive(config, "vace_in_channels", wan.vace_in_channels);
  }
  // The norm of queries and keys is part of every published model and of the reference whatever
  // this says.
  if (config.has("qk_norm")) config.require<std::string>("qk_norm", "rms_norm_across_heads");
  config.ignore({"qk_norm"});
  config.check_all_read();

  if (wan.attention_head_dim % 2 != 0 || wan.attention_head_dim < 2) {
    fail(ErrorKind::Input,
         "{}: attention_head_dim is {}, expected an even number, since positions turn pairs",
         config.description(), wan.attention_head_dim);
  }
  if (wan.freq_dim < 2)
    fail(ErrorKind::Input, "{}: freq_dim is {}, expected 2 or more", config.description(),
         wan.freq_dim);
  check_image_branch(config, wan);
  return wan;
}

}  // namespace sora
