// What the row-wise ops share on the CPU: rows shared out to threads, and a tensor's memory in
// row_ops.h's types. A row is computed by one thread, so the result does not depend on their
// number.
#pragma once

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <vector>

#include "kernels/cpu/share_tasks.h"

namespace sora::kernels::cpu {

// Calls work(n, scratch of `width` floats) for each of the N rows of x [..., width].
template <typename Work>
void for_each_row(const at::Tensor& x, const Work& work) {
  constexpr int64_t kNumbersWorthAThread = 32768;
  if (x.numel() == 0) return;
  const int64_t width = x.size(-1), least = std::max<int64_t>(1, kNumbersWorthAThread / width);
  share_tasks(x.numel() / width, least, [&](int64_t begin, int64_t end) {
    std::vector<float> scratch(static_cast<size_t>(width));
    for (int64_t n = begin; n < end; ++n) work(n, scratch.data());
  });
}

// The op's types and layouts are those the CPU kernels are written for.
inline bool fits(const at::Tensor& x) {
  return x.is_cpu() && x.is_contiguous() &&
         (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16);
}

// Calls work(pointer to x's numbers) with the pointer in row_ops.h's type.
template <typename Work>
void with_type(const at::Tensor& x, const Work& work) {
  if (x.scalar_type() == at::kFloat) {
    work(static_cast<float*>(x.data_ptr()));
  } else {
    work(static_cast<uint16_t*>(x.data_ptr()));
  }
}

}  // namespace sora::kernels::cpu
