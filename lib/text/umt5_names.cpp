#include "lib/text/umt5_names.h"

#include <fmt/format.h>

#include <iterator>
#include <optional>
#include <string>

#include "lib/core/error.h"
#include "lib/tensor_io/model_part.h"

namespace sora {
namespace {

constexpr int64_t kMaxLayers = 1024;

struct Rename {
  std::string_view original;
  std::string_view transformers;
};

constexpr Rename kTopNames[] = {
    {"token_embedding.weight", "shared.weight"},
    {"token_embd.weight", "shared.weight"},
    {"norm.weight", "encoder.final_layer_norm.weight"},
    {"enc.output_norm.weight", "encoder.final_layer_norm.weight"},
};

constexpr Rename kBlockNames[] = {
    {"norm1.weight", "layer.0.layer_norm.weight"},
    {"attn.q.weight", "layer.0.SelfAttention.q.weight"},
    {"attn.k.weight", "layer.0.SelfAttention.k.weight"},
    {"attn.v.weight", "layer.0.SelfAttention.v.weight"},
    {"attn.o.weight", "layer.0.SelfAttention.o.weight"},
    {"pos_embedding.embedding.weight", "layer.0.SelfAttention.relative_attention_bias.weight"},
    {"norm2.weight", "layer.1.layer_norm.weight"},
    {"ffn.gate.0.weight", "layer.1.DenseReluDense.wi_0.weight"},
    {"ffn.fc1.weight", "layer.1.DenseReluDense.wi_1.weight"},
    {"ffn.fc2.weight", "layer.1.DenseReluDense.wo.weight"},
    {"attn_norm.weight", "layer.0.layer_norm.weight"},
    {"attn_q.weight", "layer.0.SelfAttention.q.weight"},
    {"attn_k.weight", "layer.0.SelfAttention.k.weight"},
    {"attn_v.weight", "layer.0.SelfAttention.v.weight"},
    {"attn_o.weight", "layer.0.SelfAttention.o.weight"},
    {"attn_rel_b.weight", "layer.0.SelfAttention.relative_attention_bias.weight"},
    {"ffn_norm.weight", "layer.1.layer_norm.weight"},
    {"ffn_gate.weight", "layer.1.DenseReluDense.wi_0.weight"},
    {"ffn_up.weight", "layer.1.DenseReluDense.wi_1.weight"},
    {"ffn_down.weight", "layer.1.DenseReluDense.wo.weight"},
};

template <size_t N>
std::optional<std::string_view> look_up(const Rename (&renames)[N], std::string_view name) {
  for (const Rename& rename : renames) {
    if (rename.original == name) return rename.transformers;
  }
  return std::nullopt;
}

std::string transformers_name(std::string_view name) {
  if (const auto top = look_up(kTopNames, name)) return std::string(*top);
  for (const std::string_view list : {"blocks.", "enc.blk."}) {
    if (!name.starts_with(list)) continue;
    const size_t end = name.find('.', list.size());
    if (end == std::string_view::npos) break;
    const std::string_view index = name.substr(list.size(), end - list.size());
    const auto block = look_up(kBlockNames, name.substr(end + 1));
    if (block) return fmt::format("encoder.block.{}.{}", index, *block);
  }
  // Beside the encoder: ComfyUI puts the tokenizer into the file, GGUF a decoder that Wan does not
  // use.
  const bool other = name == "spiece_model" || name == "scaled_fp8" || name == "logit_scale" ||
                     name.starts_with("dec.");
  return other ? std::string() : std::string(name);
}

int64_t extent(const Checkpoint& checkpoint, const std::string& name, size_t axis) {
  const TensorInfo& info = checkpoint.info(name);
  if (info.shape.size() != 2) {
    fail(ErrorKind::Input, "{}: {} has {} dimensions, expected 2", checkpoint.description(), name,
         info.shape.size());
  }
  return info.shape[axis];
}

}  // namespace

Checkpoint with_umt5_names(const Checkpoint& checkpoint) {
  return take_part(checkpoint, kUmt5Part, transformers_name);
}

std::string gguf_umt5_name(const std::string& name) {
  // llama.cpp's names come last in both tables.
  const auto look_back = [](const auto& renames, std::string_view wanted) -> std::string {
    for (auto rename = std::rbegin(renames); rename != std::rend(renames); ++rename) {
      if (rename->transformers == wanted) return std::string(rename->original);
    }
    return "";
  };
  constexpr std::string_view kList = "encoder.block.";
  if (!name.starts_with(kList)) {
    const bool is_table = name == "encoder.embed_tokens.weight";
    const std::string top = look_back(kTopNames, is_table ? "shared.weight" : name);
    return top.empty() ? name : top;
  }
  const size_t dot = name.find('.', kList.size());
  const std::string block = dot == name.npos ? "" : look_back(kBlockNames, name.substr(dot + 1));
  return block.empty()
             ? name
             : fmt::format("enc.blk.{}.{}", name.substr(kList.size(), dot - kList.size()), block);
}

nlohmann::json umt5_config_from_shapes(const Checkpoint& checkpoint) {
  const std::string attention = "encoder.block.0.layer.0.SelfAttention.";
  const std::string table =
      checkpoint.has("shared.weight") ? "shared.weight" : "encoder.embed_tokens.weight";
  const int64_t num_heads = extent(checkpoint, attention + "relative_attention_bias.weight", 1);
  const int64_t attention_width = extent(checkpoint, attention + "q.weight", 0);
  if (num_heads < 1 || attention_width % num_heads != 0) {
    fail(ErrorKind::Input, "{}: its attention is {} wide, which {} heads do not divide",
         checkpoint.description(), attention_width, num_heads);
  }
  int64_t num_layers = 0;
  while (num_layers < kMaxLayers &&
         checkpoint.has(fmt::format("encoder.block.{}.layer.0.SelfAttention.q.weight", num_layers)))
    ++num_layers;
  const std::string feed_forward = "encoder.block.0.layer.1.DenseReluDense.";
  const bool gated = checkpoint.has(feed_forward + "wi_0.weight");
  return {
      {"architectures", {"UMT5EncoderModel"}},
      {"model_type", "umt5"},
      {"vocab_size", extent(checkpoint, table, 0)},
      {"d_model", extent(checkpoint, table, 1)},
      {"d_kv", attention_width / num_heads},
      {"d_ff", extent(checkpoint, feed_forward + (gated ? "wi_0.weight" : "wi.weight"), 0)},
      {"num_layers", num_layers},
      {"num_heads", num_heads},
      {"relative_attention_num_buckets",
       extent(checkpoint, attention + "relative_attention_bias.weight", 0)},
      {"relative_attention_max_distance", 128},
      {"layer_norm_epsilon", 1e-6},
      {"feed_forward_proj", gated ? "gated-gelu" : "gelu"},
  };
}

}  // namespace sora
