#include "kernels/gated_residual.h"

#include <ATen/ATen.h>

namespace sora::kernels::reference {

void gated_residual_(const at::Tensor& x, const at::Tensor& y, const at::Tensor& gate_RD,
                     const at::Tensor& row_N) {
  at::Tensor change = y.to(at::kFloat);
  if (gate_RD.defined()) {
    change = change *
             (gate_RD.size(0) == 1 ? gate_RD[0] : gate_RD.index_select(0, row_N).view(x.sizes()));
  }
  x.copy_(x.to(at::kFloat) + change);
}

}  // namespace sora::kernels::reference
