#include "lib/models/wan/transformer_block.h"

#include <ATen/ATen.h>

#include "kernels/gated_residual.h"
#include "kernels/layer_norm.h"
#include "lib/nn/attention.h"

namespace sora {
namespace {

// How a noise level changes the input of a sublayer, weight (1 + scale) and bias (shift) of its
// norm, and the weight of its output; f32 [R, D] each, because the reference keeps modulation in
// f32 in a bf16 model.
struct Modulation {
  at::Tensor bias, weight, gate;
};

Modulation modulation(const at::Tensor& table_R6D, int64_t first) {
  return {table_R6D.select(1, first), 1 + table_R6D.select(1, first + 1),
          table_R6D.select(1, first + 2)};
}

FeedForward feed_forward(const WanTransformerConfig& config, const Weights& net) {
  const int64_t width = config.inner_dim();
  return {{net[0]["proj"], width, config.ffn_dim},
          {net[2], config.ffn_dim, width},
          Activation::GeluTanh};
}

}  // namespace

WanSelfAttention::WanSelfAttention(const WanTransformerConfig& config, const Weights& weights)
    : num_heads_(config.num_attention_heads),
      in_int8_(weights.arithmetic().int8_attention),
      kernel_(weights.arithmetic().attention),
      to_q_(weights["to_q"], config.inner_dim(), config.inner_dim()),
      to_k_(weights["to_k"], config.inner_dim(), config.inner_dim()),
      to_v_(weights["to_v"], config.inner_dim(), config.inner_dim()),
      to_out_(weights["to_out"][0], config.inner_dim(), config.inner_dim()),
      norm_q_(weights["norm_q"], config.inner_dim(), config.eps),
      norm_k_(weights["norm_k"], config.inner_dim(), config.eps) {}

at::Tensor WanSelfAttention::operator()(const at::Tensor& x_BLD, const Rotation& rotation,
                                        const SharedTokens& shared) const {
  const at::Tensor q = to_q_(x_BLD), k = to_k_(x_BLD), v = to_v_(x_BLD);
  norm_q_.apply_and_rotate_(q, rotation);
  norm_k_.apply_and_rotate_(k, rotation);
  const auto attend = [&](const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                          int64_t heads) {
    return in_int8_ ? multi_head_attention_int8(q, k, v, heads)
                    : multi_head_attention(q, k, v, heads, {}, kernel_);
  };
  if (shared.ranks == nullptr) return to_out_(attend(q, k, v, num_heads_));
  const auto own_heads = [&](const at::Tensor& x) {
    return shared.ranks->tokens_to_heads(x.unflatten(2, {num_heads_, -1}), shared.num_tokens)
        .flatten(2);
  };
  const int64_t heads = num_heads_ / shared.ranks->size();
  const at::Tensor out = attend(own_heads(q), own_heads(k), own_heads(v), heads);
  return to_out_(shared.ranks->heads_to_tokens(out.unflatten(2, {heads, -1})).flatten(2));
}

WanCrossAttention::WanCrossAttention(const WanTransformerConfig& config, const Weights& weights)
    : num_heads_(config.num_attention_heads),
      kernel_(weights.arithmetic().attention),
      to_q_(weights["to_q"], config.inner_dim(), config.inner_dim()),
      to_k_(weights["to_k"], config.inner_dim(), config.inner_dim()),
      to_v_(weights["to_v"], config.inner_dim(), config.inner_dim()),
      to_out_(weights["to_out"][0], config.inner_dim(), config.inner_dim()),
      norm_q_(weights["norm_q"], config.inner_dim(), config.eps),
      norm_k_(weights["norm_k"], config.inner_dim(), config.eps) {
  if (!config.added_kv_proj_dim) return;
  const int64_t width = config.inner_dim();
  image_ = ImageBranch{{weights["add_k_proj"], *config.added_kv_proj_dim, width},
                       {weights["add_v_proj"], *config.added_kv_proj_dim, width},
                       {weights["norm_added_k"], width, config.eps}};
  // Checkpoints converted from Wan's own carry a norm that neither implementation applies.
  if (weights.has("norm_added_q.weight")) weights["norm_added_q"].get("weight", {width});
}

WanCrossKeys WanCrossAttention::keys(const at::Tensor& text_BSD,
                                     const at::Tensor& image_BSD) const {
  WanCrossKeys keys;
  keys.text_k_BSD = to_k_(text_BSD);
  norm_k_.apply_(keys.text_k_BSD);
  keys.text_v_BSD = to_v_(text_BSD);
  if (image_) {
    keys.image_k_BSD = image_->add_k_proj(image_BSD);
    image_->norm_added_k.apply_(keys.image_k_BSD);
    keys.image_v_BSD = image_->add_v_proj(image_BSD);
  }
  return keys;
}

at::Tensor WanCrossAttention::operator()(const at::Tensor& x_BLD, const WanCrossKeys& keys,
                                         const at::Tensor& text_bias_BS, bool is_timed) const {
  at::Tensor q = to_q_(x_BLD);
  norm_q_.apply_(q);
  if (is_timed) q = q.view({text_bias_BS.size(0), -1, q.size(2)});  // each latent frame by itself
  at::Tensor out =
      multi_head_attention(q, keys.text_k_BSD, keys.text_v_BSD, num_heads_, text_bias_BS, kernel_)
          .view_as(x_BLD);
  if (image_)
    out.add_(multi_head_attention(q.view_as(x_BLD), keys.image_k_BSD, keys.image_v_BSD, num_heads_,
                                  {}, kernel_));
  return to_out_(out);
}

WanBlock::WanBlock(const WanTransformerConfig& config, const Weights& weights)
    : eps_(config.eps),
      dtype_(weights.dtype()),
      attn1_(config, weights["attn1"]),
      attn2_(config, weights["attn2"]),
      ffn_(feed_forward(config, weights["ffn"]["net"])),
      scale_shift_table_16D_(weights.get_f32("scale_shift_table", {1, 6, config.inner_dim()})) {
  if (config.cross_attn_norm) {
    norm2_.emplace(weights["norm2"], config.inner_dim(), eps_, LayerNorm::Precision::Checkpoint);
  }
}

void WanBlock::apply_(const at::Tensor& x_BLD, const WanTimeEmbedding& time,
                      const WanCrossKeys& keys, const at::Tensor& text_bias_BS, bool is_timed,
                      const Rotation& rotation, const SharedTokens& shared) const {
  const at::Tensor table_R6D = scale_shift_table_16D_ + time.modulation_R6D;
  const Modulation attn = modulation(table_R6D, 0), mlp = modulation(table_R6D, 3);
  const auto modulated = [&](const Modulation& by) {
    return kernels::layer_norm(x_BLD, by.weight, by.bias, time.row_N, eps_, dtype_);
  };
  kernels::gated_residual_(x_BLD, attn1_(modulated(attn), rotation, shared), attn.gate, time.row_N);
  kernels::gated_residual_(
      x_BLD, attn2_(norm2_ ? (*norm2_)(x_BLD) : x_BLD.to(dtype_), keys, text_bias_BS, is_timed));
  kernels::gated_residual_(x_BLD, ffn_(modulated(mlp)), mlp.gate, time.row_N);
}

WanVaceBlock::WanVaceBlock(const WanTransformerConfig& config, const Weights& weights,
                           bool is_first)
    : block_(config, weights),
      proj_out_(weights["proj_out"], config.inner_dim(), config.inner_dim()) {
  if (is_first) proj_in_.emplace(weights["proj_in"], config.inner_dim(), config.inner_dim());
}

at::Tensor WanVaceBlock::apply_(const at::Tensor& control_BLD, const at::Tensor& x_BLD,
                                const WanTimeEmbedding& time, const WanCrossKeys& keys,
                                const at::Tensor& text_bias_BS, bool is_timed,
                                const Rotation& rotation) const {
  const at::ScalarType dtype = proj_out_.dtype();
  if (proj_in_) {
    control_BLD.copy_((*proj_in_)(control_BLD.to(dtype)));
    kernels::gated_residual_(control_BLD, x_BLD);
  }
  block_.apply_(control_BLD, time, keys, text_bias_BS, is_timed, rotation);
  return proj_out_(control_BLD.to(dtype));
}

}  // namespace sora
