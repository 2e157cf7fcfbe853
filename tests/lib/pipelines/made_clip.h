// One clip of a ClipMaker, whole in memory.
#pragma once

#include <ATen/ATen.h>

#include <vector>

#include "lib/pipelines/clip_maker.h"

namespace sora {

struct MadeClip {
  at::Tensor frames;                // u8 [F,H,W,3]
  std::vector<at::Tensor> latents;  // of each window
};

inline MadeClip make_clip(ClipMaker& maker, uint64_t seed) {
  MadeClip made;
  std::vector<at::Tensor> chunks;
  maker.make(
      {.seed = seed}, [&](const at::Tensor& frames) { chunks.push_back(frames.clone()); },
      [&](size_t, const at::Tensor& latents) { made.latents.push_back(latents); });
  made.frames = at::cat(chunks);
  return made;
}

}  // namespace sora
