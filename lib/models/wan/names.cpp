#include "lib/models/wan/names.h"

#include <fmt/format.h>

#include <optional>
#include <span>

#include "lib/core/error.h"
#include "lib/tensor_io/model_part.h"

namespace sora {
namespace {

struct Rename {
  std::string_view from;  // whole segments of a name
  std::string_view to;
};

constexpr Rename kTransformerRenames[] = {
    {"head.modulation", "scale_shift_table"},
    {"head.head", "proj_out"},
    {"time_embedding.0", "condition_embedder.time_embedder.linear_1"},
    {"time_embedding.2", "condition_embedder.time_embedder.linear_2"},
    {"time_projection.1", "condition_embedder.time_proj"},
    {"text_embedding.0", "condition_embedder.text_embedder.linear_1"},
    {"text_embedding.2", "condition_embedder.text_embedder.linear_2"},
    {"img_emb.proj.0", "condition_embedder.image_embedder.norm1"},
    {"img_emb.proj.1", "condition_embedder.image_embedder.ff.net.0.proj"},
    {"img_emb.proj.3", "condition_embedder.image_embedder.ff.net.2"},
    {"img_emb.proj.4", "condition_embedder.image_embedder.norm2"},
    {"img_emb.emb_pos", "condition_embedder.image_embedder.pos_embed"},
};

// After "blocks.N." and "vace_blocks.N.". The original's norm1 and norm2 have no weights, its norm3
// is the one before the cross-attention.
constexpr Rename kBlockRenames[] = {
    {"modulation", "scale_shift_table"},
    {"norm3", "norm2"},
    {"ffn.0", "ffn.net.0.proj"},
    {"ffn.2", "ffn.net.2"},
    {"self_attn.q", "attn1.to_q"},
    {"self_attn.k", "attn1.to_k"},
    {"self_attn.v", "attn1.to_v"},
    {"self_attn.o", "attn1.to_out.0"},
    {"self_attn", "attn1"},
    {"cross_attn.q", "attn2.to_q"},
    {"cross_attn.k", "attn2.to_k"},
    {"cross_attn.v", "attn2.to_v"},
    {"cross_attn.o", "attn2.to_out.0"},
    {"cross_attn.k_img", "attn2.add_k_proj"},
    {"cross_attn.v_img", "attn2.add_v_proj"},
    {"cross_attn.norm_k_img", "attn2.norm_added_k"},
    {"cross_attn", "attn2"},
    {"before_proj", "proj_in"},
    {"after_proj", "proj_out"},
};

constexpr Rename kVaeRenames[] = {
    {"conv1", "quant_conv"},
    {"conv2", "post_quant_conv"},
    {"encoder.conv1", "encoder.conv_in"},
    {"decoder.conv1", "decoder.conv_in"},
    {"encoder.middle.0", "encoder.mid_block.resnets.0"},
    {"encoder.middle.1", "encoder.mid_block.attentions.0"},
    {"encoder.middle.2", "encoder.mid_block.resnets.1"},
    {"decoder.middle.0", "decoder.mid_block.resnets.0"},
    {"decoder.middle.1", "decoder.mid_block.attentions.0"},
    {"decoder.middle.2", "decoder.mid_block.resnets.1"},
    {"encoder.head.0", "encoder.norm_out"},
    {"encoder.head.2", "encoder.conv_out"},
    {"decoder.head.0", "decoder.norm_out"},
    {"decoder.head.2", "decoder.conv_out"},
};

constexpr Rename kResidualRenames[] = {
    {"residual.0", "norm1"}, {"residual.2", "conv1"},       {"residual.3", "norm2"},
    {"residual.6", "conv2"}, {"shortcut", "conv_shortcut"},
};

bool starts_with_segments(std::string_view name, std::string_view segments) {
  return name.starts_with(segments) &&
         (name.size() == segments.size() || name[segments.size()] == '.');
}

std::string renamed_by(std::span<const Rename> renames, std::string_view name) {
  for (const Rename& rename : renames) {
    if (starts_with_segments(name, rename.from))
      return std::string(rename.to).append(name.substr(rename.from.size()));
  }
  return std::string(name);
}

// Takes the number at the start of `rest` and the dot behind it.
std::optional<int64_t> take_index(std::string_view& rest) {
  size_t digits = 0;
  while (digits < rest.size() && rest[digits] >= '0' && rest[digits] <= '9') ++digits;
  if (digits == 0 || digits > 4 || digits == rest.size() || rest[digits] != '.')
    return std::nullopt;
  const int64_t index = std::stoll(std::string(rest.substr(0, digits)));
  rest.remove_prefix(digits + 1);
  return index;
}

bool take_prefix(std::string_view& rest, std::string_view prefix) {
  if (!rest.starts_with(prefix)) return false;
  rest.remove_prefix(prefix.size());
  return true;
}

// How many entries of the original's flat list make one level of the decoder of Wan 2.1: residual
// blocks, then the upsampling.
int64_t decoder_level_length(const Checkpoint& checkpoint, std::string_view prefix) {
  for (int64_t i = 0; i < 64; ++i) {
    if (checkpoint.has(fmt::format("{}decoder.upsamples.{}.resample.1.weight", prefix, i)))
      return i + 1;
  }
  return 64;
}

bool is_resampling(std::string_view rest) {
  return rest.starts_with("resample.") || rest.starts_with("time_conv.");
}

std::string vae_name(std::string_view name, int64_t level_length) {
  for (const std::string_view half : {"encoder", "decoder"}) {
    const bool encoder = half == "encoder";
    std::string_view rest = name;
    const std::string list = encoder ? "downsamples." : "upsamples.";
    if (!take_prefix(rest, std::string(half) + "." + list)) continue;
    const auto index = take_index(rest);
    if (!index) return std::string(name);
    const std::string blocks = fmt::format("{}.{}_blocks.", half, encoder ? "down" : "up");
    const std::string sampler = encoder ? "downsampler" : "upsampler";
    if (take_prefix(rest, list)) {  // Wan 2.2: a list within each level
      const auto inner = take_index(rest);
      if (!inner) return std::string(name);
      if (is_resampling(rest)) return fmt::format("{}{}.{}.{}", blocks, *index, sampler, rest);
      return fmt::format("{}{}.resnets.{}.{}", blocks, *index, *inner,
                         renamed_by(kResidualRenames, rest));
    }
    const std::string inside = renamed_by(kResidualRenames, rest);
    if (encoder) return fmt::format("{}{}.{}", blocks, *index, inside);
    const int64_t level = *index / level_length, place = *index % level_length;
    if (is_resampling(rest)) return fmt::format("{}{}.upsamplers.0.{}", blocks, level, rest);
    return fmt::format("{}{}.resnets.{}.{}", blocks, level, place, inside);
  }
  const std::string renamed = renamed_by(kVaeRenames, name);
  const size_t block = renamed.find(".mid_block.resnets.");
  if (block == std::string::npos) return renamed;
  const size_t inside = renamed.find('.', block + std::string_view(".mid_block.resnets.").size());
  if (inside == std::string::npos) return renamed;
  return renamed.substr(0, inside + 1) +
         renamed_by(kResidualRenames, std::string_view(renamed).substr(inside + 1));
}

}  // namespace

std::string diffusers_transformer_name(std::string_view original) {
  for (const std::string_view list : {"blocks.", "vace_blocks."}) {
    std::string_view rest = original;
    if (!take_prefix(rest, list)) continue;
    const auto index = take_index(rest);
    if (!index) return std::string(original);
    // "norm2" without weights is the original's; with them the name is diffusers' already.
    return fmt::format("{}{}.{}", list, *index, renamed_by(kBlockRenames, rest));
  }
  return renamed_by(kTransformerRenames, original);
}

std::string original_transformer_name(std::string_view diffusers) {
  const auto back = [](std::span<const Rename> renames, std::string_view name) {
    for (const Rename& rename : renames) {
      if (starts_with_segments(name, rename.to))
        return std::string(rename.from).append(name.substr(rename.to.size()));
    }
    return std::string(name);
  };
  for (const std::string_view list : {"blocks.", "vace_blocks."}) {
    std::string_view rest = diffusers;
    if (!take_prefix(rest, list)) continue;
    const auto index = take_index(rest);
    if (!index) return std::string(diffusers);
    return fmt::format("{}{}.{}", list, *index, back(kBlockRenames, rest));
  }
  return back(kTransformerRenames, diffusers);
}

Checkpoint with_transformer_names(const Checkpoint& checkpoint) {
  if (!find_part(checkpoint, kWanTransformerPart) && find_part(checkpoint, kWanControlPart)) {
    fail(
        ErrorKind::Input,
        "{}: holds a VACE control branch without a transformer; run a text-to-video transformer of "
        "its width with it: -m TRANSFORMER --vace {}",
        checkpoint.description(), checkpoint.description());
  }
  return take_part(checkpoint, kWanTransformerPart, diffusers_transformer_name);
}

Checkpoint with_control_names(const Checkpoint& checkpoint) {
  return take_part(checkpoint, kWanControlPart, [](std::string_view name) {
    return name.starts_with("vace_") ? diffusers_transformer_name(name) : std::string();
  });
}

Checkpoint with_vae_names(const Checkpoint& checkpoint) {
  const std::string_view prefix = find_part(checkpoint, kWanVaePart).value_or("");
  const int64_t level_length = decoder_level_length(checkpoint, prefix);
  return take_part(checkpoint, kWanVaePart,
                   [&](std::string_view name) { return vae_name(name, level_length); });
}

Checkpoint with_image_encoder_names(const Checkpoint& checkpoint) {
  return take_part(checkpoint, kClipVisionPart, [](std::string_view name) {
    std::string_view rest = name;
    take_prefix(rest, "vision_model.");
    // The projection into the space shared with text has no part in Wan.
    const bool is_vision = rest != name || !name.starts_with("visual_projection");
    return is_vision ? std::string(rest) : std::string();
  });
}

}  // namespace sora
