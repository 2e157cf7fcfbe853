#include "kernels/cpu/panel_gemm.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/native/CPUBlas.h>

#include <algorithm>
#include <vector>

#include "kernels/cpu/panel_rows.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kRowBlock = 64;    // rows of x in a brgemm call
constexpr int64_t kColumnUnit = 16;  // panels are a multiple of it wide
constexpr int64_t kWidePanel = 256;  // stays in the second-level cache for K up to kMaxDepth,
constexpr int64_t kSlimPanel = 64;   // and in the first-level one for K up to kSlimDepth
constexpr int64_t kSlimDepth = 256;
constexpr int64_t kMaxDepth = 2048;
constexpr int64_t kTasksPerThread = 3;

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
int64_t round_up(int64_t a, int64_t unit) { return ceil_div(a, unit) * unit; }

SigmoidGate gate_of(Activation activation) {
  constexpr float kSqrt8OverPi = 1.5957691216F;
  switch (activation) {
    case Activation::GeluTanh:  // (1 + tanh u) / 2 = 1 / (1 + exp(-2u))
      return {kSqrt8OverPi, kSqrt8OverPi * 0.044715F};
    case Activation::Silu:
      return {1.0F, 0.0F};
    case Activation::QuickGelu:
      return {1.702F, 0.0F};
    default:
      return {};
  }
}

}  // namespace

at::Tensor pack_panels(const at::Tensor& weight_NK) {
  static const bool processor =
      __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw");
  const int64_t columns = weight_NK.size(0), depth = weight_NK.size(1);
  if (!processor || !weight_NK.is_cpu() || weight_NK.scalar_type() != at::kBFloat16 ||
      depth % 2 != 0 || depth > kMaxDepth) {
    return {};
  }
  const int64_t count = ceil_div(columns, depth <= kSlimDepth ? kSlimPanel : kWidePanel);
  const int64_t width = round_up(ceil_div(columns, count), kColumnUnit);
  const at::Tensor padded = at::constant_pad_nd(weight_NK, {0, 0, 0, count * width - columns});
  return padded.view({count, width, depth / 2, 2}).permute({0, 2, 1, 3}).contiguous();
}

bool has_panel_activation(Activation activation) { return activation != Activation::Gelu; }

void panel_linear(const at::Tensor& x, const at::Tensor& panels, const at::Tensor& bias,
                  Activation activation, const at::Tensor& y) {
  const int64_t rows = x.size(0), depth = x.size(1), columns = y.size(1);
  const int64_t count = panels.size(0), width = panels.size(2);
  const at::BFloat16* from = x.const_data_ptr<at::BFloat16>();
  const at::BFloat16* packed = panels.const_data_ptr<at::BFloat16>();
  uint16_t* to = static_cast<uint16_t*>(y.data_ptr());
  const at::Tensor bias_f32 = bias.defined() ? bias.to(at::kFloat) : bias;
  const float* added = bias.defined() ? bias_f32.const_data_ptr<float>() : nullptr;
  const SigmoidGate gate = gate_of(activation);

  // A task is a panel and a range of rows.
  const int64_t ranges =
      std::clamp<int64_t>(ceil_div(kTasksPerThread * at::get_num_threads(), count), 1,
                          std::max<int64_t>(1, rows / kRowBlock));
  const int64_t range = round_up(ceil_div(rows, ranges), kRowBlock);
  at::parallel_for(0, count * ranges, 1, [&](int64_t begin, int64_t end) {
    std::vector<float> sums(static_cast<size_t>(kRowBlock * width));
    for (int64_t task = begin; task < end; ++task) {
      const int64_t panel = task / ranges, first_row = task % ranges * range,
                    first_column = panel * width;
      const int64_t last_row = std::min(rows, first_row + range);
      for (int64_t row = first_row; row < last_row; row += kRowBlock) {
        const int64_t block = std::min(kRowBlock, last_row - row);
        at::native::cpublas::brgemm(block, width, depth, depth, width, width, /*add_C=*/false,
                                    from + row * depth, packed + panel * width * depth,
                                    sums.data());
        for (int64_t r = 0; r < block; ++r) {
          finish_row_avx512bf16(sums.data() + r * width,
                                added == nullptr ? nullptr : added + first_column,
                                std::min(width, columns - first_column), gate,
                                to + (row + r) * columns + first_column);
        }
      }
    }
    at::native::cpublas::brgemm_release();
  });
}

}  // namespace sora::kernels::cpu
