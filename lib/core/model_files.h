// The files a model is put together from, as a user names them, where it is not one directory.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/export.h"

namespace sora {

// --lora FILE[:weight[:high|low]]
struct LoraChoice {
  std::string path;
  double weight = 1.0;
  std::string expert;  // "high" or "low" of a two-expert model; empty: both

  bool operator==(const LoraChoice&) const = default;
};

SORA_EXPORT LoraChoice parse_lora_choice(std::string_view text);  // throws Error(Usage)

// Paths; empty: found beside the model or among those of `models_dir`.
struct ModelFiles {
  std::string transformer_2;  // the low-noise expert
  // A control branch in a file of its own, or its name among those of `models_dir`.
  std::string vace;
  std::string vae;
  std::string text_encoder;
  std::string tokenizer;
  std::string image_encoder;
  std::string tiny_vae;    // decodes instead of the VAE
  std::string models_dir;  // a folder with ComfyUI's: diffusion_models, vae, text_encoders, ...

  std::vector<LoraChoice> loras;
  bool draft = false;  // with the tiny decoder that lies among the model's files
  // With the LoRA that distils the model to a few steps; empty: as the model's own defaults say.
  std::optional<bool> turbo;

  bool operator==(const ModelFiles&) const = default;
};

}  // namespace sora
