// Frames too large for memory cut into overlapping tiles, which are blended where they overlap, as
// diffusers' AutoencoderKLWan does it. A tile does not see beyond its edges, so the result is close
// to the untiled one, not equal.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace sora {

// Pixels, as in diffusers' enable_tiling(). The overlap of two tiles is their size minus the
// stride. The encoder of a patchified VAE counts patches instead, as diffusers does.
struct WanVaeTiling {
  int64_t tile_height = 256;
  int64_t tile_width = 256;
  int64_t stride_height = 192;
  int64_t stride_width = 192;

  // Throws Error(Usage) unless strides and tiles are positive multiples of `grid` pixels, no stride
  // above its tile.
  void check(int64_t grid) const;
};

// One direction of the grid of tiles, in the units of what is cut: tile i is [i * stride, i *
// stride + size), ending where the whole ends.
struct TileAxis {
  int64_t whole;
  int64_t size;
  int64_t stride;

  int64_t count() const { return (whole + stride - 1) / stride; }
  int64_t start(int64_t i) const { return i * stride; }
  int64_t stop(int64_t i) const;
};

// The tiles of the same frames, [T,h,w,C] each, row by row, joined to [T,H,W,C]; `rows` and
// `columns` describe the cut in the units of the tiles given. Tiles are changed.
at::Tensor blend_tiles(std::vector<at::Tensor>& tiles_THWC, const TileAxis& rows,
                       const TileAxis& columns);

}  // namespace sora
