// How a run fits into memory, decided before it starts: which parts are whole and which are
// streamed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/models/model_info.h"
#include "lib/models/wan/vae_config.h"
#include "lib/models/wan/vae_tiling.h"
#include "lib/pipelines/plan.h"

namespace sora {

// Peak bytes of each phase, the program itself included. Phases follow one another; where a clip
// has several windows or variations the networks of one stay during the other only if that fits
// too.
struct MemoryPlan {
  int64_t limit = 0;
  Placement placement;
  int64_t text = 0;
  int64_t encode = 0;  // of sources; 0: there are none
  int64_t sample = 0;
  int64_t decode = 0;

  int64_t peak() const;
  std::string describe() const;  // "812 MiB of 8192 MiB: text 500 MiB, ..."
};

// Of the memory of the plan's device. `limit` is what the user allows; without it what is free
// there. Whole parts are preferred; where they do not fit the transformer is streamed layer by
// layer, on a GPU those layers that do not fit, and frames go through the VAE in tiles; where the
// plan says whether they do, that is preferred. Throws Error(Memory), naming the phase and what
// would help, where that does not fit either. Latents that are there already are only decoded: the
// other phases are then 0.
MemoryPlan plan_memory(const ModelInfo& model, const Plan& plan, std::optional<int64_t> limit,
                       bool only_decodes = false);

// What goes through the VAE in tiles: "frames" that are decoded, "sources" that are encoded.
std::vector<std::string> tiled_parts(const ModelInfo& model, const Plan& plan);

// The encoder's tiles, in patches: of the decoder's size in pixels.
WanVaeTiling encoder_tiling(const WanVaeConfig& vae);
// Whether the VAE encodes sources in tiles: where it decodes frames in them, and that takes less.
bool encodes_in_tiles(const ModelInfo& model, const Plan& plan);

// MemAvailable, or less where the control group is given less.
int64_t free_memory();
// The same of a device's own memory.
int64_t free_memory(at::Device device);

}  // namespace sora
