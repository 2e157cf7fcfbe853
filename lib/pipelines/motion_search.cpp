// Every offset is tried, nearest first: at a size at which objects move a few pixels a frame, then,
// for larger pictures, around what was found there.
#include "lib/pipelines/motion_search.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace sora {
namespace {

// Longer side at which the whole reach is searched, and that reach in its pixels.
constexpr int64_t kSearchSide = 160;
constexpr int64_t kReach = 8;
// Side of the square that is compared.
constexpr int64_t kBlock = 7;
// What staying in place is forgiven: this share of the difference and, in levels summed over the
// channels, this much.
constexpr double kStillShare = 0.3;
constexpr double kStillLevels = 2.0;

// Offsets within `reach`, nearest first; the first is none.
std::vector<std::pair<int64_t, int64_t>> offsets(int64_t reach) {
  std::vector<std::pair<int64_t, int64_t>> found;
  for (int64_t y = -reach; y <= reach; ++y) {
    for (int64_t x = -reach; x <= reach; ++x) found.emplace_back(y, x);
  }
  const auto length = [](const auto& offset) {
    return offset.first * offset.first + offset.second * offset.second;
  };
  std::stable_sort(found.begin(), found.end(),
                   [&](const auto& a, const auto& b) { return length(a) < length(b); });
  return found;
}

// Improves on `motion`, which holds places of `from_HWC`, by offsets within `reach`.
Motion search(const at::Tensor& from_HWC, const at::Tensor& to_HWC, const Motion& motion,
              int64_t reach) {
  const int64_t last_row = from_HWC.size(0) - 1, last_column = from_HWC.size(1) - 1;
  Motion best;
  at::Tensor least_HW;
  for (const auto& [y, x] : offsets(reach)) {
    const Motion tried{(motion.row_HW + y).clamp_(0, last_row),
                       (motion.column_HW + x).clamp_(0, last_column)};
    const at::Tensor apart_HW = (tried.carry(from_HWC) - to_HWC).abs_().sum(-1);
    const at::Tensor around_HW =
        at::avg_pool2d(apart_HW.unsqueeze(0), kBlock, 1, kBlock / 2, /*ceil_mode=*/false,
                       /*count_include_pad=*/false)[0];
    if (!best.row_HW.defined()) {
      best = tried;
      least_HW = around_HW * (1 - kStillShare) - kStillLevels;
      continue;
    }
    const at::Tensor is_better = around_HW < least_HW;
    least_HW = at::where(is_better, around_HW, least_HW);
    best = {at::where(is_better, tried.row_HW, best.row_HW),
            at::where(is_better, tried.column_HW, best.column_HW)};
  }
  return best;
}

Motion still(int64_t height, int64_t width) {
  const auto places = [](int64_t count) { return at::arange(count, at::kLong); };
  return {places(height).view({-1, 1}).expand({height, width}),
          places(width).view({1, -1}).expand({height, width})};
}

at::Tensor shrunk(const at::Tensor& picture_HWC, int64_t by) {
  return at::avg_pool2d(picture_HWC.permute({2, 0, 1}), by, by, 0, /*ceil_mode=*/true)
      .permute({1, 2, 0})
      .contiguous();
}

}  // namespace

Motion find_motion(const at::Tensor& from_HWC, const at::Tensor& to_HWC) {
  const int64_t height = to_HWC.size(0), width = to_HWC.size(1);
  const int64_t by = (std::max(height, width) + kSearchSide - 1) / kSearchSide;
  if (by == 1) return search(from_HWC, to_HWC, still(height, width), kReach);
  const at::Tensor small_from_HWC = shrunk(from_HWC, by), small_to_HWC = shrunk(to_HWC, by);
  const Motion none = still(small_to_HWC.size(0), small_to_HWC.size(1));
  const Motion coarse = search(small_from_HWC, small_to_HWC, none, kReach);
  const auto enlarged = [&](const at::Tensor& offset_HW) {
    return (offset_HW * by)
        .repeat_interleave(by, 0)
        .repeat_interleave(by, 1)
        .slice(0, 0, height)
        .slice(1, 0, width);
  };
  const Motion own = still(height, width);
  return search(from_HWC, to_HWC,
                {own.row_HW + enlarged(coarse.row_HW - none.row_HW),
                 own.column_HW + enlarged(coarse.column_HW - none.column_HW)},
                (by + 1) / 2);
}

// The motion is carried along by itself, as it belongs to the things and not to the places.
std::vector<at::Tensor> extrapolate(const at::Tensor& before_HWC, const at::Tensor& last_HWC,
                                    int64_t count) {
  const int64_t height = last_HWC.size(0), width = last_HWC.size(1);
  const Motion own = still(height, width), found = find_motion(before_HWC, last_HWC);
  at::Tensor offset_HW2 =
      at::stack({found.row_HW - own.row_HW, found.column_HW - own.column_HW}, 2);
  std::vector<at::Tensor> pictures;
  at::Tensor picture_HWC = last_HWC;
  for (int64_t i = 0; i < count; ++i) {
    const Motion motion{(own.row_HW + offset_HW2.select(2, 0)).clamp_(0, height - 1),
                        (own.column_HW + offset_HW2.select(2, 1)).clamp_(0, width - 1)};
    picture_HWC = motion.carry(picture_HWC);
    offset_HW2 = motion.carry(offset_HW2);
    pictures.push_back(picture_HWC);
  }
  return pictures;
}

}  // namespace sora
