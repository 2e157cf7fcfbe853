// The shape of a clip in the VAE's latent space: the only place that knows 4n+1 and the strides.
#pragma once

#include <array>
#include <cstdint>

namespace sora {

// How a VAE and a transformer divide a clip: pixels to latents by stride, latents to tokens by
// patch.
struct LatentStrides {
  int64_t channels = 16;
  int64_t temporal = 4;                      // frames a latent frame, the first one aside
  int64_t spatial = 8;                       // pixels a latent side
  std::array<int64_t, 3> patch = {1, 2, 2};  // latent frames, height, width of a token

  int64_t pixel_grid_height() const { return spatial * patch[1]; }
  int64_t pixel_grid_width() const { return spatial * patch[2]; }
};

// A clip of `num_frames` = temporal * n + 1 frames whose sides are multiples of the pixel grid.
struct LatentGrid {
  LatentStrides strides;
  int64_t frames = 1;  // latent frames
  int64_t height = 0;  // latent rows
  int64_t width = 0;

  // Throws Error(Usage) naming the nearest sizes or frame numbers on the grid.
  static LatentGrid of(const LatentStrides& strides, int64_t num_frames, int64_t height,
                       int64_t width);

  int64_t num_frames() const { return (frames - 1) * strides.temporal + 1; }
  int64_t num_tokens() const;
  std::array<int64_t, 5> shape() const { return {1, strides.channels, frames, height, width}; }
};

// The least temporal * n + 1 that is not below `num_frames`.
int64_t round_up_frames(const LatentStrides& strides, int64_t num_frames);
// The least multiple of `grid` that is not below `side`.
int64_t round_up_side(int64_t grid, int64_t side);

}  // namespace sora
