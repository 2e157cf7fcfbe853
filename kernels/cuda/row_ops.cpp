// Tensors as row problems, and the choice of these kernels.
#include "kernels/cuda/row_ops.h"

#include <ATen/ATen.h>
#include <c10/core/DeviceGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <atomic>

#include "kernels/cuda/gpu.h"

namespace sora::kernels::cuda {
namespace {

std::atomic<bool> own_row_ops = false;

constexpr int64_t kAlignedBytes = 16;

RowProblem problem_of(RowProblem::Operation operation, const at::Tensor& x, const at::Tensor& y,
                      const at::Tensor& out) {
  RowProblem problem = {};
  problem.operation = operation;
  problem.x = x.const_data_ptr();
  problem.y = y.const_data_ptr();
  problem.out = out.mutable_data_ptr();
  problem.x_is_bf16 = x.scalar_type() == at::kBFloat16;
  problem.y_is_bf16 = y.scalar_type() == at::kBFloat16;
  problem.out_is_bf16 = out.scalar_type() == at::kBFloat16;
  problem.width = static_cast<int32_t>(x.size(-1));
  problem.rows = static_cast<int32_t>(x.numel() / x.size(-1));
  return problem;
}

bool is_aligned(const at::Tensor& x) {
  return reinterpret_cast<uintptr_t>(x.const_data_ptr()) % kAlignedBytes == 0;
}

void set_row(RowProblem& problem, const at::Tensor& row_N) {
  if (row_N.defined()) problem.row = row_N.const_data_ptr<int64_t>();
}

}  // namespace

void use_own_row_ops(bool use) { own_row_ops = use; }

bool fits_rows(const at::Tensor& x) {
  constexpr int64_t kNumbers = 8;
  return x.is_contiguous() && x.numel() > 0 && x.size(-1) % kNumbers == 0 &&
         (x.scalar_type() == at::kFloat || x.scalar_type() == at::kBFloat16) && is_aligned(x);
}

bool fits_beside_rows(const at::Tensor& weight) {
  if (!weight.defined()) return true;
  const bool rows_are_aligned = weight.dim() == 1 || weight.size(0) == 1 ||
                                weight.stride(0) * int64_t{sizeof(float)} % kAlignedBytes == 0;
  return is_aligned(weight) && rows_are_aligned;
}

bool takes_rows(const at::Tensor& x) {
  return own_row_ops && x.is_cuda() && fits_rows(x) && has_own_kernels_for(x.device());
}

RowProblem rms_norm_problem(const at::Tensor& x, const at::Tensor& weight, double eps,
                            const Rotation* rotation) {
  RowProblem problem = problem_of(RowProblem::Operation::RmsNorm, x, x, x);
  problem.weight = weight.const_data_ptr<float>();
  problem.eps = static_cast<float>(eps);
  if (rotation) {
    problem.cos = rotation->cos.const_data_ptr<float>();
    problem.sin = rotation->sin.const_data_ptr<float>();
    problem.length = static_cast<int32_t>(rotation->cos.size(0));
    problem.pairs = static_cast<int32_t>(rotation->cos.size(1));
  }
  return problem;
}

RowProblem layer_norm_problem(const at::Tensor& x, const at::Tensor& weight_RD,
                              const at::Tensor& bias_RD, const at::Tensor& row_N, double eps,
                              const at::Tensor& out) {
  RowProblem problem = problem_of(RowProblem::Operation::LayerNorm, x, x, out);
  problem.weight = weight_RD.const_data_ptr<float>();
  problem.weight_stride = weight_RD.stride(0);
  problem.bias = bias_RD.const_data_ptr<float>();
  problem.bias_stride = bias_RD.stride(0);
  problem.eps = static_cast<float>(eps);
  set_row(problem, row_N);
  return problem;
}

RowProblem gated_residual_problem(const at::Tensor& x, const at::Tensor& y,
                                  const at::Tensor& gate_RD, const at::Tensor& row_N) {
  RowProblem problem = problem_of(RowProblem::Operation::GatedResidual, x, y, x);
  if (gate_RD.defined()) {
    problem.weight = gate_RD.const_data_ptr<float>();
    problem.weight_stride = gate_RD.stride(0);
  }
  set_row(problem, row_N);
  return problem;
}

void run_rows(const RowProblem& problem, at::Device device) {
  const c10::DeviceGuard guard(device);
  const c10::impl::VirtualGuardImpl on(device.type());
  launch_rows(problem, on.getStreamNativeHandle(on.getStream(device)));
}

}  // namespace sora::kernels::cuda
