// Shapes that the kernels are tested and timed at: token counts and widths that fill vectors and
// tiles, and that do not; and the tolerance that follows from a type.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <cmath>
#include <string>
#include <vector>

namespace sora::kernels {

struct RowCase {
  int64_t batch, tokens, heads, head_width;
  at::ScalarType dtype;
  int64_t width() const { return heads * head_width; }
};

inline std::vector<RowCase> row_cases() {
  std::vector<RowCase> cases;
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const RowCase& shape :
         {RowCase{1, 1, 1, 2, dtype}, RowCase{2, 7, 3, 10, dtype}, RowCase{1, 33, 5, 14, dtype},
          RowCase{2, 100, 4, 64, dtype}, RowCase{1, 130, 12, 128, dtype}}) {
      cases.push_back(shape);
    }
  }
  return cases;
}

struct ProductCase {
  int64_t rows, in, out;
  at::ScalarType dtype;
};

inline std::vector<ProductCase> product_cases() {
  std::vector<ProductCase> cases;
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const ProductCase& shape :
         {ProductCase{1, 1, 1, dtype}, ProductCase{1, 32, 48, dtype}, ProductCase{3, 33, 17, dtype},
          ProductCase{60, 4096, 96, dtype}, ProductCase{129, 70, 35, dtype},
          ProductCase{512, 768, 256, dtype}, ProductCase{777, 1536, 128, dtype},
          ProductCase{2240, 1536, 64, dtype}}) {
      cases.push_back(shape);
    }
  }
  return cases;
}

struct ConvolutionCase {
  int64_t frames, height, width, in, out;  // frames of x
  int64_t taps, rows, columns;             // of the kernel
};

inline std::vector<ConvolutionCase> convolution_cases() {
  return {{1, 1, 1, 1, 1, 1, 1, 1},      {3, 5, 7, 3, 5, 3, 3, 3},
          {4, 4, 16, 32, 32, 3, 3, 3},   {6, 9, 33, 48, 12, 3, 3, 3},
          {3, 12, 20, 96, 96, 3, 3, 3},  {7, 8, 32, 64, 48, 3, 1, 1},
          {2, 17, 19, 40, 33, 1, 2, 2},  {2, 6, 31, 16, 100, 1, 5, 3},
          {5, 13, 18, 384, 70, 3, 3, 3}, {2, 20, 40, 1024, 32, 2, 3, 3}};
}

// Distance between neighbouring numbers of the type at 1.
inline double eps_of(at::ScalarType dtype) {
  return std::ldexp(1.0, dtype == at::kBFloat16 ? -7 : -23);
}

// A result rounded to its type is off by half an eps of itself; f32 sums of n terms of about one
// size by some sqrt(n) eps of f32 before that. `scale` is the size of the result.
inline double tolerance(at::ScalarType dtype, int64_t summed, double scale) {
  const double rounding = dtype == at::kFloat ? 0.0 : eps_of(dtype);
  return scale * (rounding + 4.0 * std::sqrt(static_cast<double>(summed)) * eps_of(at::kFloat));
}

inline double largest(const at::Tensor& x) { return x.to(at::kDouble).abs().max().item<double>(); }

inline double largest_difference(const at::Tensor& a, const at::Tensor& b) {
  return largest(a.to(at::kDouble) - b.to(at::kDouble));
}

// x on the GPU with the strides that it has; .cuda() makes gaps between rows go.
inline at::Tensor strided_on_gpu(const at::Tensor& x) {
  return at::empty_strided(x.sizes(), x.strides(), x.options().device(at::kCUDA)).copy_(x);
}

// The result of `work` with each number of threads is the same, byte for byte.
template <typename Work>
bool same_at_any_number_of_threads(Work work) {
  const int before = at::get_num_threads();
  at::set_num_threads(1);
  const at::Tensor once = work();
  bool same = true;
  for (const int threads : {2, 3}) {
    at::set_num_threads(threads);
    same = same && at::equal(once, work());
  }
  at::set_num_threads(before);
  return same;
}

}  // namespace sora::kernels
