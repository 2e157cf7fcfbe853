#include "kernels/cpu/tiles.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <c10/core/InferenceMode.h>

#include <algorithm>
#include <string_view>

#ifdef _OPENMP
#include <omp.h>
#endif

#include "kernels/cpu/ceil_div.h"
#include "kernels/cpu/matrix_product.h"
#include "kernels/cpu/processor.h"
#include "kernels/cpu/scratch_memory.h"
#include "kernels/cpu/share_tasks.h"
#include "kernels/cpu/tile_product.h"

// Exported by libtorch where it is built with MKL.
extern "C" __attribute__((weak, visibility("default"))) int MKL_Set_Num_Threads_Local(int threads);

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kMaxTileRows = 320;
// Below, a tile of rows would read all the weights for too little work.
constexpr int64_t kFewRows = 128;
constexpr int64_t kTilesInStep = 4;  // the number of tiles is a multiple of it, for an even share
constexpr int64_t kColumnTiles = 8;
constexpr int64_t kMatrixUnitRows = 16;  // tile sizes are multiples of it

Tiling cut(int64_t total, int64_t wanted_count) {
  const int64_t size = std::max(
      kMatrixUnitRows, ceil_div(ceil_div(total, wanted_count), kMatrixUnitRows) * kMatrixUnitRows);
  return {total, size, ceil_div(total, size)};
}

// Makes the matrix libraries plan for one thread. That they are called inside a parallel region,
// where they get no more than one, is not enough: they would still cut the sums as for all of the
// process's threads.
class OneThread {
 public:
  OneThread() {
#ifdef _OPENMP
    omp_set_num_threads(1);  // of this thread within the region around it, and forgotten at its end
#endif
    if (MKL_Set_Num_Threads_Local != nullptr) mkl_before_ = MKL_Set_Num_Threads_Local(1);
  }
  ~OneThread() {
    if (MKL_Set_Num_Threads_Local != nullptr) MKL_Set_Num_Threads_Local(mkl_before_);
  }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int mkl_before_ = 0;
};

// oneDNN's product with the bias and activation applied to the f32 sums, as torch.compile uses it.
using LinearPointwise = at::Tensor(const at::Tensor&, const at::Tensor&,
                                   const std::optional<at::Tensor>&, std::string_view,
                                   c10::List<std::optional<at::Scalar>>,
                                   std::optional<std::string_view>);

const c10::TypedOperatorHandle<LinearPointwise>* linear_pointwise() {
  static const auto handle = []() -> std::optional<c10::TypedOperatorHandle<LinearPointwise>> {
    const auto found = c10::Dispatcher::singleton().findSchema({"mkldnn::_linear_pointwise", ""});
    if (!found || !libraries_multiply_bf16()) return std::nullopt;
    return found->typed<LinearPointwise>();
  }();
  return handle ? &*handle : nullptr;
}

std::pair<std::string_view, std::optional<std::string_view>> onednn_name(Activation activation) {
  switch (activation) {
    case Activation::None:
      return {"none", std::nullopt};
    case Activation::GeluTanh:
      return {"gelu", "tanh"};
    case Activation::Gelu:
      return {"gelu", "none"};
    case Activation::Silu:
      return {"swish", std::nullopt};
    case Activation::QuickGelu:
      break;  // is none of the library's
  }
  return {"none", std::nullopt};
}

// The product for what the libraries do not do well on this processor; null for the rest.
MultiplyMatrix* own_product(at::ScalarType dtype) {
  if (dtype == at::kFloat && !libraries_ignore_addresses()) {
    if (has(Processor::Avx512)) return multiply_matrix_f32_avx512;
    if (has(Processor::Avx2)) return multiply_matrix_f32_avx2;
  }
  if (dtype == at::kBFloat16 && !libraries_multiply_bf16() && has(Processor::Avx2))
    return multiply_matrix_bf16_avx2;
  return nullptr;
}

}  // namespace

int64_t matrix_product_scratch(int64_t depth) {
  return tile_product_scratch(ceil_div(depth, kPieceBytes / 2), kPanelsAtOnce);
}

at::Tensor matrix_product(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                          MultiplyMatrix* multiply) {
  const auto in_rows = [](const at::Tensor& matrix) {
    return matrix.stride(1) == 1 ? matrix : matrix.contiguous();
  };
  const at::Tensor rows = in_rows(x), columns = in_rows(weight);
  const at::Tensor added = bias.defined() ? bias.to(at::kFloat).contiguous() : bias;
  at::Tensor y = at::empty({rows.size(0), columns.size(0)}, at::kFloat);
  const MatrixProduct product = {rows.const_data_ptr(),
                                 rows.stride(0),
                                 columns.const_data_ptr(),
                                 columns.stride(0),
                                 added.defined() ? added.const_data_ptr<float>() : nullptr,
                                 rows.size(0),
                                 columns.size(0),
                                 rows.size(1),
                                 y.mutable_data_ptr<float>()};
  multiply(product, scratch_memory(matrix_product_scratch(product.depth)));
  return y;
}

Tiling row_tiles(int64_t rows) {
  return cut(rows, ceil_div(ceil_div(rows, kMaxTileRows), kTilesInStep) * kTilesInStep);
}

Tiling column_tiles(int64_t columns) { return cut(columns, kColumnTiles); }

bool prefers_columns(int64_t rows) { return rows <= kFewRows; }

void for_each_tile(const Tiling& tiling, const std::function<void(int64_t)>& work) {
  // A range of one would be run outside of a parallel region, where the library takes all the
  // threads.
  const int64_t range = std::max<int64_t>(tiling.count, 2);
  share_tasks(range, [&](int64_t begin, int64_t end) {
    const c10::InferenceMode inference;  // is not inherited by the threads of the region
    const OneThread one_thread;
    for (int64_t tile = begin; tile < std::min(end, tiling.count); ++tile) work(tile);
  });
}

at::Tensor linear_tile(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                       Activation activation) {
  if (MultiplyMatrix* const own = own_product(x.scalar_type()); own != nullptr) {
    const at::Tensor y = matrix_product(x, weight, bias, own);
    reference::activate_(y, activation);
    return y.to(x.scalar_type());
  }
  const auto* fused = x.scalar_type() == at::kBFloat16 ? linear_pointwise() : nullptr;
  if (fused == nullptr) return reference::linear(x, weight, bias, activation);
  const auto [name, algorithm] = onednn_name(activation);
  const at::Tensor y = fused->call(x, weight, bias.defined() ? std::optional(bias) : std::nullopt,
                                   name, c10::List<std::optional<at::Scalar>>(), algorithm);
  if (name == "none") reference::activate_(y, activation);
  return y;
}

}  // namespace sora::kernels::cpu
