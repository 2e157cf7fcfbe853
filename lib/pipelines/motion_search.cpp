// Every offset is tried, nearest first: at a size at which objects move a few pixels a frame, then,
// for larger pictures, around what was found there.
#include "lib/pipelines/motion_search.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
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
constexpr float kStillShare = 0.3F;
constexpr float kStillLevels = 2.0F;

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

// [H,W], of the pixels of two pictures.
using Plane = std::vector<float>;

// How far each pixel of `to_HWC` is from the one of `from_HWC` that lies an offset beyond its place
// in `motion`, summed over the channels; all of them contiguous.
class MovedDifference {
 public:
  MovedDifference(const at::Tensor& from_HWC, const at::Tensor& to_HWC, const Motion& motion)
      : from_(from_HWC.const_data_ptr<float>()),
        to_(to_HWC.const_data_ptr<float>()),
        rows_(motion.row_HW.const_data_ptr<int64_t>()),
        columns_(motion.column_HW.const_data_ptr<int64_t>()),
        height_(to_HWC.size(0)),
        width_(to_HWC.size(1)),
        channels_(to_HWC.size(2)) {}

  void operator()(int64_t y, int64_t x, Plane& apart) const {
    for (int64_t pixel = 0; pixel < height_ * width_; ++pixel) {
      const int64_t row = std::clamp<int64_t>(rows_[pixel] + y, 0, height_ - 1);
      const int64_t column = std::clamp<int64_t>(columns_[pixel] + x, 0, width_ - 1);
      const float *there = from_ + (row * width_ + column) * channels_,
                  *here = to_ + pixel * channels_;
      float sum = 0;
      for (int64_t channel = 0; channel < channels_; ++channel)
        sum += std::abs(there[channel] - here[channel]);
      apart[static_cast<size_t>(pixel)] = sum;
    }
  }

 private:
  const float *from_, *to_;
  const int64_t *rows_, *columns_;
  int64_t height_, width_, channels_;
};

// The same where all pixels have moved alike: by the offset alone.
class ShiftedDifference {
 public:
  ShiftedDifference(const at::Tensor& from_HWC, const at::Tensor& to_HWC, int64_t reach)
      : reach_(reach),
        from_CHW_(at::replication_pad2d(from_HWC.permute({2, 0, 1}), {reach, reach, reach, reach})
                      .contiguous()),
        to_CHW_(to_HWC.permute({2, 0, 1}).contiguous()) {}

  void operator()(int64_t y, int64_t x, Plane& apart) const {
    const int64_t height = to_CHW_.size(1), width = to_CHW_.size(2), padded = width + 2 * reach_;
    const float *from = from_CHW_.const_data_ptr<float>(), *to = to_CHW_.const_data_ptr<float>();
    std::fill(apart.begin(), apart.end(), 0.0F);
    for (int64_t channel = 0; channel < to_CHW_.size(0); ++channel) {
      for (int64_t row = 0; row < height; ++row) {
        const int64_t line = channel * (height + 2 * reach_) + row + y + reach_;
        const float *there = from + line * padded + x + reach_,
                    *here = to + (channel * height + row) * width;
        float* sum = apart.data() + row * width;
#pragma omp simd
        for (int64_t column = 0; column < width; ++column)
          sum[column] += std::abs(there[column] - here[column]);
      }
    }
  }

 private:
  int64_t reach_;
  at::Tensor from_CHW_, to_CHW_;
};

void add(float* sum, const float* numbers, float times, int64_t count) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) sum[i] += times * numbers[i];
}

// The mean of each pixel's block, as far as it lies inside, in place; `columns` holds sums over the
// rows of a block.
void average_blocks(Plane& plane, int64_t height, int64_t width, Plane& columns) {
  constexpr int64_t kHalf = kBlock / 2;
  const auto share = [](int64_t at, int64_t size) {
    return 1 / static_cast<float>(std::min(at + kHalf, size - 1) -
                                  std::max<int64_t>(at - kHalf, 0) + 1);
  };
  std::vector<float> of_columns;
  for (int64_t column = 0; column < width; ++column) of_columns.push_back(share(column, width));
  const auto line = [width](Plane& of, int64_t row) { return of.data() + row * width; };
  for (int64_t row = 0; row < height; ++row) {
    float* sum = line(columns, row);
    if (row == 0) {
      std::fill(sum, sum + width, 0.0F);
      for (int64_t near = 0; near <= std::min(kHalf, height - 1); ++near)
        add(sum, line(plane, near), 1, width);
      continue;
    }
    std::copy(line(columns, row - 1), line(columns, row), sum);
    if (row + kHalf < height) add(sum, line(plane, row + kHalf), 1, width);
    if (row > kHalf) add(sum, line(plane, row - kHalf - 1), -1, width);
  }
  for (int64_t row = 0; row < height; ++row) {
    const float* sum = line(columns, row);
    float* mean = line(plane, row);
    std::fill(mean, mean + width, 0.0F);
    for (int64_t offset = -kHalf; offset <= kHalf; ++offset) {
      const int64_t first = std::max<int64_t>(0, -offset), stop = std::min(width, width - offset);
#pragma omp simd
      for (int64_t column = first; column < stop; ++column) mean[column] += sum[column + offset];
    }
    const float of_rows = share(row, height);
#pragma omp simd
    for (int64_t column = 0; column < width; ++column)
      mean[column] *= of_rows * of_columns[static_cast<size_t>(column)];
  }
}

// Improves on `motion`, which holds places of the first picture, by offsets within `reach`;
// `difference` tells what an offset makes of it.
template <typename Difference>
Motion search(const Motion& motion, int64_t reach, const Difference& difference) {
  const int64_t height = motion.row_HW.size(0), width = motion.row_HW.size(1);
  const auto num_pixels = static_cast<size_t>(height * width);
  const std::vector<std::pair<int64_t, int64_t>> tried = offsets(reach);
  Plane apart(num_pixels), sums(num_pixels), least(num_pixels, std::numeric_limits<float>::max());
  std::vector<size_t> best(num_pixels, 0);
  for (size_t i = 0; i < tried.size(); ++i) {
    difference(tried[i].first, tried[i].second, apart);
    average_blocks(apart, height, width, sums);
    for (size_t pixel = 0; pixel < num_pixels; ++pixel) {
      const float found = i == 0 ? apart[pixel] * (1 - kStillShare) - kStillLevels : apart[pixel];
      if (found >= least[pixel]) continue;
      least[pixel] = found;
      best[pixel] = i;
    }
  }
  Motion found{at::empty({height, width}, at::kLong), at::empty({height, width}, at::kLong)};
  const int64_t *rows = motion.row_HW.const_data_ptr<int64_t>(),
                *columns = motion.column_HW.const_data_ptr<int64_t>();
  for (size_t pixel = 0; pixel < num_pixels; ++pixel) {
    const auto& [y, x] = tried[best[pixel]];
    found.row_HW.mutable_data_ptr<int64_t>()[pixel] =
        std::clamp<int64_t>(rows[pixel] + y, 0, height - 1);
    found.column_HW.mutable_data_ptr<int64_t>()[pixel] =
        std::clamp<int64_t>(columns[pixel] + x, 0, width - 1);
  }
  return found;
}

at::Tensor shrunk(const at::Tensor& picture_HWC, int64_t by) {
  return at::avg_pool2d(picture_HWC.permute({2, 0, 1}), by, by, 0, /*ceil_mode=*/true)
      .permute({1, 2, 0})
      .contiguous();
}

}  // namespace

Motion no_motion(int64_t height, int64_t width) {
  const auto places = [](int64_t count) { return at::arange(count, at::kLong); };
  return {places(height).view({-1, 1}).expand({height, width}).contiguous(),
          places(width).view({1, -1}).expand({height, width}).contiguous()};
}

at::Tensor Motion::moved() const {
  const Motion own = no_motion(row_HW.size(0), row_HW.size(1));
  return row_HW.ne(own.row_HW).logical_or_(column_HW.ne(own.column_HW));
}

Motion find_motion(const at::Tensor& from_HWC, const at::Tensor& to_HWC) {
  const int64_t height = to_HWC.size(0), width = to_HWC.size(1);
  const int64_t by = (std::max(height, width) + kSearchSide - 1) / kSearchSide;
  const at::Tensor small_from_HWC = shrunk(from_HWC, by), small_to_HWC = shrunk(to_HWC, by);
  const Motion none = no_motion(small_to_HWC.size(0), small_to_HWC.size(1));
  const Motion coarse =
      search(none, kReach, ShiftedDifference(small_from_HWC, small_to_HWC, kReach));
  if (by == 1) return coarse;
  const auto enlarged = [&](const at::Tensor& offset_HW) {
    return (offset_HW * by)
        .repeat_interleave(by, 0)
        .repeat_interleave(by, 1)
        .slice(0, 0, height)
        .slice(1, 0, width);
  };
  const Motion own = no_motion(height, width);
  const Motion start{own.row_HW + enlarged(coarse.row_HW - none.row_HW),
                     own.column_HW + enlarged(coarse.column_HW - none.column_HW)};
  const at::Tensor from = from_HWC.contiguous(), to = to_HWC.contiguous();
  return search(start, (by + 1) / 2, MovedDifference(from, to, start));
}

// The motion is carried along by itself, as it belongs to the things and not to the places.
std::vector<at::Tensor> extrapolate(const at::Tensor& before_HWC, const at::Tensor& last_HWC,
                                    int64_t count) {
  const int64_t height = last_HWC.size(0), width = last_HWC.size(1);
  const Motion own = no_motion(height, width), found = find_motion(before_HWC, last_HWC);
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
