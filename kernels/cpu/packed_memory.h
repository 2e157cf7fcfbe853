// Memory of weights that were packed for the processor's products.
#pragma once

#include <ATen/core/Tensor.h>

namespace sora::kernels::cpu {

// bf16 of this shape, in large pages, zeros nowhere promised. Undefined where all such memory
// together would be more than half of the machine's.
at::Tensor packed_memory(at::IntArrayRef shape);

}  // namespace sora::kernels::cpu
