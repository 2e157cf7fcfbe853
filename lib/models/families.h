// The published families of Wan, told apart by the shapes of their transformer, and what each is
// run with where neither the user nor the model says (model cards and configs of Wan 2.1 and 2.2).
#pragma once

#include <cstdint>
#include <string_view>

#include "lib/models/wan/config.h"

namespace sora {

// What a transformer takes besides noise and text. Each family has one.
enum class WanForm {
  Text,            // nothing
  Clip,            // mask, known latents and a picture's CLIP embedding (Wan 2.1 image to video)
  ClipPair,        // the same with two pictures (first and last frame)
  Mask,            // mask and known latents (Wan 2.2 image to video)
  TokenTimesteps,  // clean known tokens (Wan 2.2 TI2V-5B)
  Control,         // mask, known and controlling frames in a branch of its own (VACE)
};

struct Family {
  std::string_view name;   // "wan2.1-t2v-1.3b"
  std::string_view title;  // "Wan 2.1 text to video, 1.3B"
  WanForm form;
  bool two_experts;
  int64_t width;  // of the transformer
  double shift;   // of the noise schedule
  int steps;
  double guidance_scale;
  double guidance_scale_2;  // of the low-noise expert, the same where there is none
  double boundary_ratio;    // share of the noise levels below which the low-noise expert works
  int64_t frame_width, frame_height, num_frames, fps;
  int64_t max_pixels;
};

// The family of this form whose width is nearest; a model of another width than the family's is one
// of its kind made by someone else.
const Family& nearest_family(WanForm form, bool two_experts, int64_t width);

// Null for an unknown name.
const Family* find_family(std::string_view name);

// What the shapes say. `z_dim` is that of the VAE.
WanForm form_of(const WanTransformerConfig& transformer, int64_t z_dim, bool expand_timesteps);

// Of every published family (wan/configs/shared_config.py).
extern const char* const kPublishedNegativePrompt;

}  // namespace sora
