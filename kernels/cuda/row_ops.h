// Norms and residuals on a GPU by this project's own kernels (row_ops_kernel.h).
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/cuda/row_problem.h"
#include "kernels/rms_norm.h"

namespace sora::kernels::cuda {

// Whether operators on rows take these kernels where they can; false at first, for they have run on
// no GPU. Of the whole process: `--attention sora` sets it for the clips that it makes.
void use_own_row_ops(bool use);

// f32|bf16, contiguous, rows of a multiple of 8 numbers that begin at multiples of 16 bytes.
bool fits_rows(const at::Tensor& x);

// What is f32 and read beside such rows, [R, D] or one row [D]: its rows begin at multiples of 16
// bytes too. What is undefined is not read, and fits.
bool fits_beside_rows(const at::Tensor& weight);

// Whether x is to be worked on by these kernels: asked for, built for the GPU that it is on, and it
// fits.
bool takes_rows(const at::Tensor& x);

// Each points into the tensors given, whose contracts are those of the headers of kernels/.
RowProblem rms_norm_problem(const at::Tensor& x, const at::Tensor& weight, double eps,
                            const Rotation* rotation);
RowProblem layer_norm_problem(const at::Tensor& x, const at::Tensor& weight_RD,
                              const at::Tensor& bias_RD, const at::Tensor& row_N, double eps,
                              const at::Tensor& out);
RowProblem gated_residual_problem(const at::Tensor& x, const at::Tensor& y,
                                  const at::Tensor& gate_RD, const at::Tensor& row_N);

// On torch's current stream of this device.
void run_rows(const RowProblem& problem, at::Device device);

}  // namespace sora::kernels::cuda
