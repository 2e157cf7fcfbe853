// A causal video VAE encodes frame 0 alone and every `temporal` frames after it together, hence
// 4n+1 (Wan, section 4.1).
#include "lib/models/latents.h"

#include <algorithm>

#include "lib/core/error.h"

namespace sora {

LatentGrid LatentGrid::of(const LatentStrides& strides, int64_t num_frames, int64_t height,
                          int64_t width) {
  if (num_frames < 1 || (num_frames - 1) % strides.temporal != 0) {
    const int64_t above = round_up_frames(strides, std::max<int64_t>(num_frames, 1));
    fail(ErrorKind::Usage,
         "{} frames do not fit this model; the nearest numbers that do are {} and {}", num_frames,
         std::max<int64_t>(above - strides.temporal, 1), above);
  }
  const int64_t grid_h = strides.pixel_grid_height();
  const int64_t grid_w = strides.pixel_grid_width();
  if (height < 1 || width < 1 || height % grid_h != 0 || width % grid_w != 0) {
    const int64_t above_h = round_up_side(grid_h, std::max<int64_t>(height, 1));
    const int64_t above_w = round_up_side(grid_w, std::max<int64_t>(width, 1));
    fail(ErrorKind::Usage,
         "{}x{} does not fit this model, whose sides are multiples of {}x{}; the nearest size "
         "above is {}x{}",
         width, height, grid_w, grid_h, above_w, above_h);
  }
  return {strides, (num_frames - 1) / strides.temporal + 1, height / strides.spatial,
          width / strides.spatial};
}

int64_t LatentGrid::num_tokens() const {
  return (frames / strides.patch[0]) * (height / strides.patch[1]) * (width / strides.patch[2]);
}

int64_t round_up_frames(const LatentStrides& strides, int64_t num_frames) {
  return (num_frames - 1 + strides.temporal - 1) / strides.temporal * strides.temporal + 1;
}

int64_t round_up_side(int64_t grid, int64_t side) { return (side + grid - 1) / grid * grid; }

}  // namespace sora
