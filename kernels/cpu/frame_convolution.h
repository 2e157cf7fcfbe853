// The convolutions of convolution.h with weights packed beforehand: tile_convolution.h on tensors,
// shared out to threads.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/convolution.h"
#include "kernels/cpu/processor.h"

namespace sora::kernels::cpu {

// As convolve_out(), whose checks hold and which has pixels to compute, on AVX512-BF16 or AMX.
void convolve_frames(const at::Tensor& x_THWC, const PackedConvolution& weights, Padding padding,
                     const at::Tensor& other, const at::Tensor& y_THWK,
                     Processor processor = this_processor());

}  // namespace sora::kernels::cpu
