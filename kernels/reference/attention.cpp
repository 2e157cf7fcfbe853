#include "kernels/attention.h"

#include <ATen/ATen.h>

#include <cmath>

namespace sora::kernels::reference {

at::Tensor attention(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK, const at::Tensor& v_BSHK,
                     const at::Tensor& bias_BS) {
  const at::Tensor q = q_BLHK.transpose(1, 2).to(at::kFloat);
  const at::Tensor k = k_BSHK.transpose(1, 2).to(at::kFloat);
  const at::Tensor v = v_BSHK.transpose(1, 2).to(at::kFloat);
  at::Tensor logits = at::matmul(q, k.transpose(2, 3)) / std::sqrt(static_cast<double>(q.size(3)));
  if (bias_BS.defined()) logits = logits + bias_BS.unsqueeze(1).unsqueeze(1);
  const at::Tensor probabilities = at::softmax(logits, -1).to(q_BLHK.scalar_type()).to(at::kFloat);
  return at::matmul(probabilities, v).transpose(1, 2).contiguous().to(q_BLHK.scalar_type());
}

}  // namespace sora::kernels::reference
