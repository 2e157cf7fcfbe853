#include "lib/models/wan/vae_tiling.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "lib/core/error.h"

namespace sora {
namespace {

constexpr int64_t kHeightDim = 1;
constexpr int64_t kWidthDim = 2;

// The first `extent` rows (or columns) of `next` fade in over the last ones of `previous`, linearly
// from 0.
void fade_in(const at::Tensor& previous, at::Tensor& next, int64_t dim, int64_t extent) {
  extent = std::min({extent, previous.size(dim), next.size(dim)});
  if (extent <= 0) return;
  std::vector<int64_t> shape(next.dim(), 1);
  shape[dim] = extent;
  const at::Tensor share =
      at::arange(extent, next.options().dtype(at::kFloat)).div_(extent).view(shape);
  const at::Tensor end_of_previous =
      previous.narrow(dim, previous.size(dim) - extent, extent).to(at::kFloat);
  at::Tensor beginning = next.narrow(dim, 0, extent);
  beginning.copy_(end_of_previous.mul(1 - share).add_(beginning.to(at::kFloat).mul_(share)));
}

void check_side(const char* side, int64_t tile, int64_t stride, int64_t grid) {
  if (stride > 0 && tile >= stride && tile % grid == 0 && stride % grid == 0) return;
  fail(ErrorKind::Usage,
       "tiles of {} {} with stride {} do not fit this VAE; expected multiples of {}, the stride no "
       "larger",
       side, tile, stride, grid);
}

}  // namespace

void WanVaeTiling::check(int64_t grid) const {
  check_side("height", tile_height, stride_height, grid);
  check_side("width", tile_width, stride_width, grid);
}

int64_t TileAxis::stop(int64_t i) const { return std::min(start(i) + size, whole); }

at::Tensor blend_tiles(std::vector<at::Tensor>& tiles_THWC, const TileAxis& rows,
                       const TileAxis& columns) {
  const at::Tensor& first = tiles_THWC.front();
  at::Tensor joined =
      at::empty({first.size(0), rows.whole, columns.whole, first.size(3)}, first.options());
  for (int64_t row = 0; row < rows.count(); ++row) {
    for (int64_t column = 0; column < columns.count(); ++column) {
      at::Tensor& tile = tiles_THWC[row * columns.count() + column];
      if (row > 0) {
        fade_in(tiles_THWC[(row - 1) * columns.count() + column], tile, kHeightDim,
                rows.size - rows.stride);
      }
      if (column > 0) {
        fade_in(tiles_THWC[row * columns.count() + column - 1], tile, kWidthDim,
                columns.size - columns.stride);
      }
      const int64_t height = std::min(rows.stride, rows.whole - rows.start(row));
      const int64_t width = std::min(columns.stride, columns.whole - columns.start(column));
      joined.narrow(kHeightDim, rows.start(row), height)
          .narrow(kWidthDim, columns.start(column), width)
          .copy_(tile.narrow(kHeightDim, 0, height).narrow(kWidthDim, 0, width));
    }
  }
  return joined;
}

}  // namespace sora
