// Operations on rows as a kernel sees them: addresses and strides, no tensors. The equations are
// those of kernels/rms_norm.h, layer_norm.h and gated_residual.h.
#pragma once

#include <cstdint>

namespace sora::kernels::cuda {

// Eight numbers are read and written at a time, 16 bytes by an instruction: width is a multiple of
// 8, and rows of x, y, out, weight and bias begin at multiples of 16 bytes.
struct RowProblem {
  enum class Operation { RmsNorm, LayerNorm, GatedResidual };
  Operation operation;
  const void* x;  // [rows, width], as are y and out
  const void* y;  // GatedResidual: what is gated
  void* out;      // x itself but for LayerNorm
  bool x_is_bf16, y_is_bf16, out_is_bf16;
  int32_t rows, width;
  const float* weight;  // of the norms, and the gate; null: 1
  const float* bias;    // LayerNorm's
  int64_t weight_stride, bias_stride;
  const int64_t* row;  // [rows]: each token's row of weight and bias; null: 0
  float eps;
  const float *cos, *sin;  // RmsNorm's rotation, [length, pairs], or null
  int32_t length, pairs;
};

// Whether this build holds code of the kernel that the current device can run.
bool rows_run_here();

// Runs the kernel on a cudaStream_t. Throws std::runtime_error with CUDA's own words where it
// cannot be launched, or in a build without the kernels.
void launch_rows(const RowProblem& problem, void* stream);

}  // namespace sora::kernels::cuda
