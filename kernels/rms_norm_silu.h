// y = f(x / max(|x|, 1e-12) * scale) over the last dimension, f the identity or SiLU, v / (1 +
// exp(-v)).
//
// With scale = sqrt(D) * gamma this is the normalisation of Wan's VAE (an RMS norm without an
// epsilon inside the root), and the activation that follows it, in one pass. x, y [..., D] f32|bf16
// of one type, contiguous; scale [D] f32 contiguous. Sums and arithmetic in f32 whatever the type,
// one rounding; the same bits at any number of threads.
#pragma once

#include <ATen/core/Tensor.h>

namespace sora::kernels {

enum class NormActivation { None, Silu };

// Writes to `y`, which may be a slice of something larger as long as it is contiguous in itself.
void rms_norm_silu_out(const at::Tensor& x, const at::Tensor& scale_D, NormActivation activation,
                       const at::Tensor& y);

namespace reference {
void rms_norm_silu_out(const at::Tensor& x, const at::Tensor& scale_D, NormActivation activation,
                       const at::Tensor& y);
}  // namespace reference

}  // namespace sora::kernels
