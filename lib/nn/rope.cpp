#include "lib/nn/rope.h"

#include <ATen/ATen.h>

#include <cmath>
#include <vector>

namespace sora {
namespace {

constexpr double kBase = 10000.0;

}  // namespace

Rotation rotation_3d(const std::array<int64_t, 3>& grid, int64_t head_width) {
  const int64_t side = 2 * (head_width / 6);
  const std::array<int64_t, 3> widths = {head_width - 2 * side, side, side};
  const int64_t tokens = grid[0] * grid[1] * grid[2];
  std::vector<at::Tensor> cos, sin;
  for (size_t axis = 0; axis < grid.size(); ++axis) {
    const at::Tensor exponent =
        at::arange(0, widths[axis], 2, at::kDouble) / static_cast<double>(widths[axis]);
    const at::Tensor frequency = at::reciprocal(at::pow(kBase, exponent));
    const at::Tensor angle = at::outer(at::arange(grid[axis], at::kDouble), frequency);
    std::array<int64_t, 4> shape = {1, 1, 1, -1};
    shape[axis] = grid[axis];
    const auto spread = [&](const at::Tensor& table) {
      return table.to(at::kFloat).view(shape).expand({grid[0], grid[1], grid[2], -1});
    };
    cos.push_back(spread(angle.cos()));
    sin.push_back(spread(angle.sin()));
  }
  const auto joined = [tokens](const std::vector<at::Tensor>& parts) {
    return at::cat(parts, -1).view({tokens, -1});
  };
  return {joined(cos), joined(sin)};
}

}  // namespace sora
