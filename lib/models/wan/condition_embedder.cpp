#include "lib/models/wan/condition_embedder.h"

#include <ATen/ATen.h>

#include "lib/core/error.h"
#include "lib/nn/time_embedding.h"

namespace sora {
namespace {

// The time embedder stays f32 in a bf16 model (`_keep_in_fp32_modules`): neighbouring noise levels
// differ by less than bf16 resolves.
Linear linear_f32(const Weights& weights, int64_t in, int64_t out) {
  return {weights.get_f32("weight", {out, in}), weights.get_f32("bias", {out})};
}

}  // namespace

WanNoiseLevels noise_levels(const at::Tensor& timestep, int64_t tokens) {
  const at::Tensor flat = timestep.reshape({-1}).to(at::kFloat);
  auto [levels_R, row, counts] = at::_unique2(flat, /*sorted=*/true, /*return_inverse=*/true);
  if (timestep.dim() == 1) row = row.repeat_interleave(tokens);
  return {levels_R, row};
}

WanConditionEmbedder::WanConditionEmbedder(const WanTransformerConfig& config,
                                           const Weights& weights)
    : freq_dim_(config.freq_dim),
      inner_dim_(config.inner_dim()),
      time_linear_1_(linear_f32(weights["time_embedder"]["linear_1"], freq_dim_, inner_dim_)),
      time_linear_2_(linear_f32(weights["time_embedder"]["linear_2"], inner_dim_, inner_dim_)),
      time_proj_(weights["time_proj"], inner_dim_, 6 * inner_dim_),
      text_embedder_({weights["text_embedder"]["linear_1"], config.text_dim, inner_dim_},
                     {weights["text_embedder"]["linear_2"], inner_dim_, inner_dim_},
                     Activation::GeluTanh) {
  if (config.image_dim) image_embedder_ = make_image_embedder(config, weights["image_embedder"]);
  weights["time_embedder"].forget_pages();  // read for the copies in f32
}

WanConditionEmbedder::ImageEmbedder WanConditionEmbedder::make_image_embedder(
    const WanTransformerConfig& config, const Weights& weights) {
  constexpr double kEps =
      1e-5;  // the reference's layer norm is left at its default here, whatever config.eps
  const int64_t in = *config.image_dim, out = config.inner_dim();
  const auto keep = LayerNorm::Precision::Checkpoint;
  return {{weights["norm1"], in, kEps, keep},
          {{weights["ff"]["net"][0]["proj"], in, in},
           {weights["ff"]["net"][2], in, out},
           Activation::Gelu},
          {weights["norm2"], out, kEps, keep},
          config.pos_embed_seq_len ? weights.get("pos_embed", {1, *config.pos_embed_seq_len, in})
                                   : at::Tensor()};
}

WanTimeEmbedding WanConditionEmbedder::time(const WanNoiseLevels& levels) const {
  const at::ScalarType dtype = time_proj_.dtype();
  const at::Tensor hidden =
      time_linear_1_(sinusoidal_embedding(levels.timestep_R, freq_dim_), Activation::Silu);
  const at::Tensor temb_RD = time_linear_2_(hidden).to(dtype);
  const at::Tensor modulation = time_proj_(at::silu(temb_RD)).to(at::kFloat);
  return {temb_RD.to(at::kFloat), modulation.view({-1, 6, inner_dim_}), levels.row_N};
}

at::Tensor WanConditionEmbedder::text(const at::Tensor& text_BTD) const {
  return text_embedder_(text_BTD);
}

at::Tensor WanConditionEmbedder::image(const at::Tensor& image_BSD) const {
  if (!image_embedder_) {
    fail(ErrorKind::Input,
         "this transformer has no image branch (image_dim is null), but was given an image's "
         "tokens");
  }
  at::Tensor x = image_BSD;
  if (const at::Tensor& table = image_embedder_->pos_embed; table.defined()) {
    if (x.size(0) % 2 != 0 || 2 * x.size(1) != table.size(1)) {
      fail(ErrorKind::Input,
           "image tokens of {} images, {} each, do not fit pos_embed_seq_len {}: expected pairs of "
           "{}",
           x.size(0), x.size(1), table.size(1), table.size(1) / 2);
    }
    x = x.reshape({-1, table.size(1), x.size(2)}) + table;
  }
  return image_embedder_->norm2(image_embedder_->ff(image_embedder_->norm1(x)));
}

}  // namespace sora
