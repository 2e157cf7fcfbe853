// What a model directory is and can do, read from its configs alone: no weights are touched.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/core/model_files.h"
#include "lib/core/rational.h"
#include "lib/models/kept_parts.h"
#include "lib/models/latents.h"
#include "lib/models/wan/config.h"
#include "lib/models/wan/parts.h"
#include "lib/models/wan/vae_config.h"

namespace sora {

// How a model honours the known frames of a canvas.
enum class KnownFrames {
  None,            // plain text to video
  MaskChannels,    // mask and masked clip concatenated to the noise (Wan image to video, nano)
  TokenTimesteps,  // known tokens at timestep 0 (Wan 2.2 TI2V-5B, `expand_timesteps`)
  ControlBranch,   // blocks beside the transformer's own (VACE)
};

// What the model is run with where the user does not say.
struct ModelDefaults {
  int64_t width = 832;
  int64_t height = 480;
  int64_t num_frames = 81;
  Rational fps{16};
  int steps = 50;
  double guidance_scale = 5.0;
  std::optional<double> guidance_scale_2;
  double align_guidance = 2.7;  // FlowAlign's scale over guidance_scale: 13.5 and 5 on Wan 2.1
  std::string negative_prompt;
  int64_t max_sequence_length = 512;  // text tokens, zero-padded
  int64_t max_pixels =
      1280 * 720;           // of a frame the model was made for; larger ones are made by resampling
  int64_t max_frames = 81;  // likewise
  bool turbo = false;       // in few steps, where nothing is asked of the sampling
  // Where no frame is known the masked clip is all grey, as its unknown frames are, instead of
  // zero.
  bool grey_without_frames = false;
  std::vector<std::string> vocabulary;  // the words the model knows; empty: any
};

// Where the parts of a model lie: component directories of diffusers, or single files.
struct ModelPaths {
  std::filesystem::path transformer;
  std::filesystem::path transformer_2;  // empty: there is one expert
  // VACE's branch, empty where it lies in the transformer's own file.
  std::filesystem::path control;
  std::filesystem::path control_2;  // of the second expert
  std::filesystem::path vae;
  std::filesystem::path text_encoder;
  std::filesystem::path tokenizer;
  std::filesystem::path image_encoder;    // empty where the model has none
  std::filesystem::path tiny_vae;         // decodes instead of the VAE; empty: none was chosen
  std::filesystem::path image_processor;  // empty: CLIP's own

  TransformerFiles expert(bool low_noise) const {
    return low_noise ? TransformerFiles{transformer_2, control_2}
                     : TransformerFiles{transformer, control};
  }
};

// What of the model is in memory at a time (lib/pipelines/memory_plan.h decides).
struct Placement {
  static constexpr int64_t kAllBlocks = INT64_MAX;
  bool streams_blocks() const { return resident_blocks != kAllBlocks; }

  // Of the transformer's layers so many stay where it computes, the first ones. The others are made
  // when they are used, on a GPU with the next one copied meanwhile.
  int64_t resident_blocks = kAllBlocks;
  bool host_copies = false;  // of those others' weights, on a GPU: not read from the file again
  // The transformer's, on a GPU, where all layers stay: lib/nn/device_graph.h.
  bool record_passes = false;
  bool tile_frames = false;  // the VAE works on tiles of the frames
  // The transformer stays while frames are decoded and the decoder while the next window or
  // variation is sampled; otherwise each is read again.
  bool keeps_networks = true;
  int64_t kept_bytes = 0;  // of tensors that were let go, kept for the next ones of their size
};

struct ModelInfo {
  std::string name;            // as the user wrote it
  std::filesystem::path path;  // the directory, or the transformer's file
  ModelPaths parts;
  std::string_view family;  // Family::name of the published family, empty for other widths
  std::vector<LoraChoice> loras;
  Placement placement;
  // Which companions were chosen, how much of a LoRA found its place.
  std::vector<std::string> notices;
  WanTransformerConfig transformer;  // both experts have one config
  WanVaeConfig vae;
  nlohmann::json scheduler;  // scheduler_config.json
  // At and above it the high-noise expert works, below it the other.
  std::optional<double> boundary_timestep;
  KnownFrames known_frames = KnownFrames::None;
  bool wants_image_embeds = false;  // CLIP image branch
  ModelDefaults defaults;
  std::shared_ptr<KeptParts> kept;  // null: each part is loaded for a clip and let go

  LatentStrides strides() const;
  bool has_two_experts() const { return boundary_timestep.has_value(); }

  // The kept part of this name, or one loaded for the caller alone.
  template <typename Part, typename Load>
  std::shared_ptr<const Part> part(const std::string& name, Load load) const {
    return kept ? kept->get<Part>(name, load) : load();
  }
};

}  // namespace sora
