#include "kernels/layer_norm.h"

#include <ATen/ATen.h>

namespace sora::kernels::reference {

at::Tensor layer_norm(const at::Tensor& x, const at::Tensor& weight_RD, const at::Tensor& bias_RD,
                      const at::Tensor& row_N, double eps, at::ScalarType dtype) {
  const auto of_tokens = [&](const at::Tensor& table_RD) {
    const bool is_one = !row_N.defined() || table_RD.size(0) == 1;
    return is_one ? table_RD[0] : table_RD.index_select(0, row_N).view(x.sizes());
  };
  const at::Tensor normed = at::layer_norm(x.to(at::kFloat), {x.size(-1)}, {}, {}, eps);
  return (normed * of_tokens(weight_RD) + of_tokens(bias_RD)).to(dtype);
}

}  // namespace sora::kernels::reference
