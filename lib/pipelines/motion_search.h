// Where the things of one picture are in another, by comparing neighbourhoods (block matching).
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace sora {

// For each pixel of `to_HWC` the row and column of `from_HWC` that shows the same, [H,W] i64 each;
// both f32 in levels of 255. A pixel stays where it is unless another place fits clearly better, so
// that still parts are not stirred by noise.
struct Motion {
  at::Tensor row_HW, column_HW;

  at::Tensor moved() const;  // [H,W] bool: whether the pixel was elsewhere
  at::Tensor carry(const at::Tensor& picture_HWC) const {
    return picture_HWC.index({row_HW, column_HW});
  }
};

Motion find_motion(const at::Tensor& from_HWC, const at::Tensor& to_HWC);
Motion no_motion(int64_t height, int64_t width);  // all stays where it is

// The `count` pictures that follow on `last_HWC` if everything goes on as it went from `before_HWC`
// to it; f32 in levels of 255.
std::vector<at::Tensor> extrapolate(const at::Tensor& before_HWC, const at::Tensor& last_HWC,
                                    int64_t count);

}  // namespace sora
