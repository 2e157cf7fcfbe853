// Pictures for tests of the invisible watermark.
#pragma once

#include <ATen/ATen.h>

#include <random>

namespace sora {

// In 0 to 1, f64.
inline at::Tensor uniform(at::IntArrayRef shape, unsigned seed) {
  std::mt19937 random(seed);
  at::Tensor values = at::empty(shape, at::kDouble);
  for (int64_t i = 0; i < values.numel(); ++i)
    values.mutable_data_ptr<double>()[i] = static_cast<double>(random()) / 4294967296.0;
  return values;
}

// A texture of blobs of `size` pixels, [H,W] of mean about 0.
inline at::Tensor blobs(int64_t height, int64_t width, int64_t size) {
  const at::Tensor noise =
      (uniform({1, 1, height + 2 * size, width + 2 * size}, 3) - 0.5).to(at::kFloat);
  return at::avg_pool2d(noise, {size, size}, {1, 1})[0][0].narrow(0, 0, height).narrow(1, 0, width);
}

}  // namespace sora
