// The part of a choice of kernels that is the process's, not a layer's.
#include "lib/nn/arithmetic.h"

#include "kernels/cuda/row_ops.h"

namespace sora {

void choose_row_ops(const Arithmetic& arithmetic) {
  kernels::cuda::use_own_row_ops(arithmetic.attention == kernels::AttentionKernel::Own);
}

}  // namespace sora
