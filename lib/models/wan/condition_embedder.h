// What the blocks are told besides the latents: noise level, text and image, brought to the width
// of the model. B batch, N tokens of all batch items, R distinct noise levels, T text tokens, S
// image tokens, D width
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "lib/models/wan/config.h"
#include "lib/nn/linear.h"
#include "lib/nn/norm.h"

namespace sora {

// The noise levels of a batch, each once: tokens of one level share their modulation.
struct WanNoiseLevels {
  at::Tensor timestep_R;  // f32
  at::Tensor row_N;       // int64: which of the R levels a token has
};
struct WanTimeEmbedding {
  at::Tensor temb_RD;         // f32
  at::Tensor modulation_R6D;  // f32, what the blocks add their scale_shift_table to
  at::Tensor row_N;           // as in WanNoiseLevels
};

// timestep [B], one for all of an item's `tokens`, or [B, tokens]. Waits for the device: how many
// levels there are depends on the numbers.
WanNoiseLevels noise_levels(const at::Tensor& timestep, int64_t tokens);

class WanConditionEmbedder {
 public:
  WanConditionEmbedder(const WanTransformerConfig& config, const Weights& weights);

  WanTimeEmbedding time(const WanNoiseLevels& levels) const;
  at::Tensor text(const at::Tensor& text_BTD) const;
  // [B, S, image_dim]; where the model has a position table, [2 B, S, image_dim]: first and last
  // image of an item.
  at::Tensor image(const at::Tensor& image_BSD) const;

 private:
  struct ImageEmbedder {
    LayerNorm norm1;
    FeedForward ff;
    LayerNorm norm2;
    at::Tensor pos_embed;  // [1, pos_embed_seq_len, image_dim] or undefined
  };
  static ImageEmbedder make_image_embedder(const WanTransformerConfig& config,
                                           const Weights& weights);

  int64_t freq_dim_, inner_dim_;
  Linear time_linear_1_, time_linear_2_, time_proj_;
  FeedForward text_embedder_;
  std::optional<ImageEmbedder> image_embedder_;
};

}  // namespace sora
