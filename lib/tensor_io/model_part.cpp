#include "lib/tensor_io/model_part.h"

#include <algorithm>
#include <iterator>

#include "lib/core/error.h"
#include "lib/tensor_io/gguf.h"

namespace sora {

const ModelPart kWanTransformerPart = {
    "Wan transformer",
    {"blocks.0.self_attn.q.weight", "blocks.0.attn1.to_q.weight"},
    {"", "model.diffusion_model.", "diffusion_model.", "transformer.", "model.", "module."}};

const ModelPart kWanControlPart = {
    "VACE control branch",
    {"vace_blocks.0.self_attn.q.weight", "vace_blocks.0.attn1.to_q.weight"},
    kWanTransformerPart.prefixes};

const ModelPart kWanVaePart = {
    "Wan VAE",
    {"decoder.middle.0.residual.0.gamma", "decoder.mid_block.resnets.0.norm1.gamma"},
    {"", "vae.", "first_stage_model.", "model."}};

const ModelPart kClipVisionPart = {
    "CLIP image encoder",
    {"vision_model.embeddings.class_embedding", "embeddings.class_embedding"},
    {"", "clip_vision.", "image_encoder."}};

const ModelPart kUmt5Part = {
    "UMT5 text encoder",
    {"encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight",
     "blocks.0.pos_embedding.embedding.weight", "enc.blk.0.attn_rel_b.weight"},
    {"", "text_encoders.umt5xxl.transformer.", "text_encoder.", "cond_stage_model.",
     "text_encoders.", "model."}};

std::optional<std::string_view> find_part(const Checkpoint& checkpoint, const ModelPart& part) {
  for (const std::string_view prefix : part.prefixes) {
    for (const std::string_view sign : part.signs) {
      if (checkpoint.has(std::string(prefix).append(sign))) return prefix;
    }
  }
  return std::nullopt;
}

Checkpoint take_part(const Checkpoint& checkpoint, const ModelPart& part,
                     const std::function<std::string(std::string_view)>& rename) {
  const auto prefix = find_part(checkpoint, part);
  if (!prefix) {
    fail(ErrorKind::Input, "{}: holds no {} (no tensor \"{}\" under any known prefix)",
         checkpoint.description(), part.title, part.signs.front());
  }
  return checkpoint.renamed([&](const std::string& name) {
    return name.starts_with(*prefix) ? rename(std::string_view(name).substr(prefix->size()))
                                     : std::string();
  });
}

bool is_plain_t5(const Checkpoint& checkpoint) {
  struct SecondBlock {
    std::string_view queries, positions;
  };
  static constexpr SecondBlock kSecondBlocks[] = {
      {"encoder.block.1.layer.0.SelfAttention.q.weight",
       "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight"},
      {"blocks.1.attn.q.weight", "blocks.1.pos_embedding.embedding.weight"},
      {"enc.blk.1.attn_q.weight", "enc.blk.1.attn_rel_b.weight"}};
  const std::string prefix(find_part(checkpoint, kUmt5Part).value_or(""));
  return std::any_of(std::begin(kSecondBlocks), std::end(kSecondBlocks),
                     [&](const SecondBlock& block) {
                       return checkpoint.has(prefix + std::string(block.queries)) &&
                              !checkpoint.has(prefix + std::string(block.positions));
                     });
}

int64_t umt5_width(const Checkpoint& checkpoint) {
  const std::string prefix(find_part(checkpoint, kUmt5Part).value_or(""));
  for (const char* norm :
       {"encoder.final_layer_norm.weight", "norm.weight", "enc.output_norm.weight"}) {
    if (checkpoint.has(prefix + norm) && checkpoint.info(prefix + norm).shape.size() == 1)
      return checkpoint.info(prefix + norm).shape[0];
  }
  return 0;
}

std::optional<std::string> find_tokenizer_tensor(const Checkpoint& checkpoint) {
  constexpr std::string_view kTensor = "spiece_model", kModule = "umt5xxl.transformer.";
  auto prefix = find_part(checkpoint, kUmt5Part);
  if (!prefix) return std::nullopt;
  std::string name = std::string(*prefix).append(kTensor);
  if (checkpoint.has(name)) return name;
  // All-in-one checkpoints have it beside the encoder's module.
  if (prefix->ends_with(kModule)) prefix->remove_suffix(kModule.size());
  name = std::string(*prefix).append(kTensor);
  return checkpoint.has(name) ? std::optional(name) : std::nullopt;
}

bool holds_tokenizer(const Checkpoint& checkpoint) {
  if (!find_part(checkpoint, kUmt5Part)) return false;
  if (find_tokenizer_tensor(checkpoint)) return true;
  const auto gguf = std::dynamic_pointer_cast<const GgufFile>(checkpoint.files().front());
  return gguf && gguf->values().contains("tokenizer.ggml.tokens");
}

}  // namespace sora
