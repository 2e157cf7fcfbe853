// In what numbers a network computes.
#pragma once

#include <c10/core/ScalarType.h>

#include "kernels/attention.h"

namespace sora {

struct Arithmetic {
  at::ScalarType dtype = at::kFloat;  // of weights and of what layers hand to each other
  bool int8_products = false;   // linear layers of blocks: kernels/linear_int8.h; dtype is bf16
  bool int8_attention = false;  // of tokens to each other: kernels/attention.h; dtype is bf16
  kernels::AttentionKernel attention = kernels::AttentionKernel::Auto;
  bool operator==(const Arithmetic&) const = default;
};

// Norms and residuals of layers take this project's kernels on a GPU exactly where its attention is
// asked for (kernels/cuda/row_ops.h). Holds for the whole process until the next call.
void choose_row_ops(const Arithmetic& arithmetic);

}  // namespace sora
