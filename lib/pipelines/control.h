// What the control branch of a VACE model is told (arXiv 2503.07598, section 3.2): the known frames
// and the controlling ones, each encoded with the other's frames grey, and a mask of what is to be
// drawn; reference pictures stand in front as latent frames of their own. As diffusers'
// WanVACEPipeline lays it out.
#pragma once

#include <ATen/core/Tensor.h>

#include "lib/models/model_info.h"
#include "lib/pipelines/canvas.h"
#include "lib/pipelines/conditioning.h"

namespace sora {

// [1, 2 Z + s^2, R + F, H, W], Z latent channels, s the VAE's spatial stride, R reference pictures.
// `known_1CFHW`: the canvas' known frames encoded, undefined where it has none.
at::Tensor make_control(const ModelInfo& model, const Canvas& canvas, const at::Tensor& known_1CFHW,
                        SourceEncoder& encoder, Observer& observer);

// [num_frames] of 1 to draw and 0 to keep -> [1, s^2, F, 1, 1]: a latent frame has the mask of the
// video frame nearest to the middle of its share of the clip.
at::Tensor control_mask(const at::Tensor& free_frames, const LatentStrides& strides);

// A picture, u8 [H, W, 3], as large as fits in the middle of a white frame: f32 [1, 3, 1, height,
// width] in [-1, 1]. Its sides are first cut down to multiples of `grid` pixels, as the reference
// does.
at::Tensor reference_on_white(const at::Tensor& picture_HWC, int64_t height, int64_t width,
                              int64_t grid);

}  // namespace sora
