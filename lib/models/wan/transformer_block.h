// One layer of Wan's transformer (Wan 2.1, arXiv 2503.20314, section 4.2): self-attention,
// cross-attention to text and image, feed-forward; the first and last modulated by the noise level.
// B batch, L latent tokens, S text or image tokens, D width, R distinct noise levels
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "lib/models/wan/condition_embedder.h"
#include "lib/models/wan/config.h"
#include "lib/nn/linear.h"
#include "lib/nn/norm.h"
#include "lib/nn/ranks.h"
#include "lib/nn/rope.h"

namespace sora {

// What a layer's queries attend to outside of the latents, the same at every noise level. Image
// tensors are undefined where the model has no image branch.
struct WanCrossKeys {
  at::Tensor text_k_BSD, text_v_BSD;
  at::Tensor image_k_BSD, image_v_BSD;
};

// The ranks that a sequence of tokens is shared among, each with its own_share(); null: it is
// whole.
struct SharedTokens {
  const RankGroup* ranks = nullptr;
  int64_t num_tokens = 0;  // of the whole
};

class WanSelfAttention {
 public:
  WanSelfAttention(const WanTransformerConfig& config, const Weights& weights);
  at::Tensor operator()(const at::Tensor& x_BLD, const Rotation& rotation,
                        const SharedTokens& shared) const;

 private:
  int64_t num_heads_;
  bool in_int8_;
  kernels::AttentionKernel kernel_;
  Linear to_q_, to_k_, to_v_, to_out_;
  RmsNorm norm_q_, norm_k_;
};

class WanCrossAttention {
 public:
  WanCrossAttention(const WanTransformerConfig& config, const Weights& weights);
  WanCrossKeys keys(const at::Tensor& text_BSD, const at::Tensor& image_BSD) const;
  // text_bias_BS: Note [Padded keys] in lib/nn/attention.h; one row for each latent frame where
  // is_timed, and B is 1 then.
  at::Tensor operator()(const at::Tensor& x_BLD, const WanCrossKeys& keys,
                        const at::Tensor& text_bias_BS, bool is_timed) const;

 private:
  struct ImageBranch {
    Linear add_k_proj, add_v_proj;
    RmsNorm norm_added_k;
  };
  int64_t num_heads_;
  kernels::AttentionKernel kernel_;
  Linear to_q_, to_k_, to_v_, to_out_;
  RmsNorm norm_q_, norm_k_;
  std::optional<ImageBranch> image_;
};

class WanBlock {
 public:
  WanBlock(const WanTransformerConfig& config, const Weights& weights);

  WanCrossKeys keys(const at::Tensor& text_BSD, const at::Tensor& image_BSD) const {
    return attn2_.keys(text_BSD, image_BSD);
  }
  // Changes x_BLD, f32, in place.
  void apply_(const at::Tensor& x_BLD, const WanTimeEmbedding& time, const WanCrossKeys& keys,
              const at::Tensor& text_bias_BS, bool is_timed, const Rotation& rotation,
              const SharedTokens& shared = {}) const;

 private:
  double eps_;
  at::ScalarType dtype_;
  WanSelfAttention attn1_;
  WanCrossAttention attn2_;
  std::optional<LayerNorm> norm2_;
  FeedForward ffn_;
  at::Tensor scale_shift_table_16D_;  // f32
};

// A block of VACE's control branch (arXiv 2503.07598): the same layer on a stream of its own, and
// what it tells the layers of the main stream.
class WanVaceBlock {
 public:
  // `is_first`: the stream begins here, from the main stream's input.
  WanVaceBlock(const WanTransformerConfig& config, const Weights& weights, bool is_first);

  WanCrossKeys keys(const at::Tensor& text_BSD, const at::Tensor& image_BSD) const {
    return block_.keys(text_BSD, image_BSD);
  }
  // Changes control_BLD, f32, in place; `x_BLD` is the main stream before its first layer. Returns
  // the hint [B, L, D].
  at::Tensor apply_(const at::Tensor& control_BLD, const at::Tensor& x_BLD,
                    const WanTimeEmbedding& time, const WanCrossKeys& keys,
                    const at::Tensor& text_bias_BS, bool is_timed, const Rotation& rotation) const;

 private:
  std::optional<Linear> proj_in_;
  WanBlock block_;
  Linear proj_out_;
};

}  // namespace sora
