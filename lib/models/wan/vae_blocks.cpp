#include "lib/models/wan/vae_blocks.h"

#include <ATen/ATen.h>

#include <cmath>
#include <utility>
#include <vector>

#include "lib/nn/attention.h"

namespace sora {
namespace {

constexpr int64_t kSpatialFactor = 2;

std::vector<int64_t> gamma_shape(int64_t channels, int64_t num_dims) {
  std::vector<int64_t> shape(num_dims, 1);
  shape[0] = channels;
  return shape;
}

}  // namespace

WanVaeNorm::WanVaeNorm(const Weights& weights, int64_t channels, int64_t num_dims)
    : scale_C_(weights.get_f32("gamma", gamma_shape(channels, num_dims))
                   .reshape({channels})
                   .mul(std::sqrt(static_cast<double>(channels)))) {}

at::Tensor WanVaeNorm::operator()(const at::Tensor& x_THWC) const {
  at::Tensor y = at::empty_like(x_THWC);
  kernels::rms_norm_silu_out(x_THWC, scale_C_, kernels::NormActivation::None, y);
  return y;
}

at::Tensor WanVaeNorm::silu_window(const at::Tensor& x_THWC, CausalCache& cache) const {
  CausalWindow window(cache, x_THWC.sizes(), x_THWC.options());
  kernels::rms_norm_silu_out(x_THWC, scale_C_, kernels::NormActivation::Silu, window.new_frames());
  return window.close();
}

WanVaeResidualBlock::WanVaeResidualBlock(const Weights& weights, int64_t in_channels,
                                         int64_t out_channels)
    : norm1_(weights["norm1"], in_channels, 4),
      norm2_(weights["norm2"], out_channels, 4),
      conv1_(weights["conv1"], in_channels, out_channels),
      conv2_(weights["conv2"], out_channels, out_channels) {
  if (in_channels != out_channels)
    conv_shortcut_.emplace(weights["conv_shortcut"], in_channels, out_channels, 5);
}

at::Tensor WanVaeResidualBlock::operator()(at::Tensor x_THWC, CausalCache& cache,
                                           bool x_is_spare) const {
  at::Tensor h_THWK = conv1_(norm1_.silu_window(x_THWC, cache));
  const at::Tensor window = norm2_.silu_window(h_THWK, cache);
  h_THWK.reset();
  if (conv_shortcut_) return conv2_.add_to((*conv_shortcut_)(x_THWC), window);
  if (x_is_spare) return conv2_.add_to(std::move(x_THWC), window);
  return conv2_.plus(x_THWC, window);
}

WanVaeAttention::WanVaeAttention(const Weights& weights, int64_t channels)
    : norm_(weights["norm"], channels, 3),
      to_qkv_(weights["to_qkv"], channels, 3 * channels, 4),
      proj_(weights["proj"], channels, channels, 4) {}

at::Tensor WanVaeAttention::operator()(const at::Tensor& x_THWC) const {
  const int64_t channels = x_THWC.size(3);
  const at::Tensor qkv =
      to_qkv_(norm_(x_THWC)).flatten(1, 2).unsqueeze(1);  // [T,1,HW,3C]: one head
  const std::vector<at::Tensor> parts = qkv.split(channels, -1);
  const at::Tensor mixed = library_attention(parts[0], parts[1], parts[2]);
  return proj_(mixed.reshape(x_THWC.sizes())).add_(x_THWC);
}

WanVaeDownsample::WanVaeDownsample(const Weights& weights, int64_t channels, bool temporal)
    : resample_(weights["resample"][1], channels, channels) {
  if (temporal) {
    time_conv_.emplace(weights["time_conv"], channels, channels, std::array<int64_t, 3>{3, 1, 1},
                       /*temporal_stride=*/2);
  }
}

at::Tensor WanVaeDownsample::operator()(const at::Tensor& x_THWC, CausalCache& cache) const {
  at::Tensor y_THWC = resample_(x_THWC);
  if (!time_conv_) return y_THWC;
  // Frames 0 | 1 2 3 4 | ..: an output frame sees the two of its pair and the one before them.
  CausalWindow window(cache, y_THWC.sizes(), y_THWC.options(), /*num_remembered=*/1);
  window.new_frames().copy_(y_THWC);
  const at::Tensor seen = window.close();
  return cache.first_chunk() ? y_THWC : (*time_conv_)(seen);
}

WanVaeUpsample::WanVaeUpsample(const Weights& weights, int64_t in_channels, int64_t out_channels,
                               bool temporal)
    : resample_(weights["resample"][1], in_channels, out_channels) {
  if (temporal) {
    time_conv_.emplace(weights["time_conv"], in_channels, 2 * in_channels,
                       std::array<int64_t, 3>{3, 1, 1});
  }
}

at::Tensor WanVaeUpsample::operator()(const at::Tensor& x_THWC, CausalCache& cache) const {
  if (!time_conv_) return resample_(x_THWC);
  if (cache.first_chunk()) {
    // The first frame is not doubled, nor does the doubling of later ones see it.
    cache.next_slot();
    return resample_(x_THWC);
  }
  const int64_t channels = x_THWC.size(3);
  const at::Tensor pairs_THWPC = (*time_conv_)(x_THWC, cache).unflatten(3, {2, channels});
  return resample_(pairs_THWPC.permute({0, 3, 1, 2, 4}).flatten(0, 1).contiguous());
}

WanVaeAverageShortcut::WanVaeAverageShortcut(int64_t out_channels, int64_t temporal_factor,
                                             int64_t spatial_factor)
    : out_channels_(out_channels),
      temporal_factor_(temporal_factor),
      spatial_factor_(spatial_factor) {}

at::Tensor WanVaeAverageShortcut::operator()(const at::Tensor& x_THWC) const {
  at::Tensor x = x_THWC;
  const int64_t missing = (temporal_factor_ - x.size(0) % temporal_factor_) % temporal_factor_;
  if (missing > 0) x = at::constant_pad_nd(x, {0, 0, 0, 0, 0, 0, missing, 0});
  const at::Tensor parts = x.unflatten(0, {-1, temporal_factor_})
                               .unflatten(2, {-1, spatial_factor_})
                               .unflatten(4, {-1, spatial_factor_});  // [T,t,H,h,W,w,C]
  const at::Tensor channels_last = parts.permute({0, 2, 4, 6, 1, 3, 5}).flatten(3);
  return channels_last.unflatten(3, {out_channels_, -1}).mean(-1);
}

WanVaeDuplicateShortcut::WanVaeDuplicateShortcut(int64_t in_channels, int64_t out_channels,
                                                 int64_t temporal_factor)
    : out_channels_(out_channels),
      temporal_factor_(temporal_factor),
      num_parts_(temporal_factor * kSpatialFactor * kSpatialFactor),
      repeats_(out_channels * num_parts_ / in_channels) {}

// What the given part of every output pixel copies: [T,H,W,K], a view where the channels lie
// evenly.
at::Tensor WanVaeDuplicateShortcut::source(const at::Tensor& x_THWC, int64_t part) const {
  if (num_parts_ % repeats_ == 0) {
    return x_THWC.unflatten(3, {out_channels_, -1}).select(4, part / repeats_);
  }
  const auto options = at::TensorOptions(at::kLong).device(x_THWC.device());
  const at::Tensor channel = at::arange(out_channels_, options).mul_(num_parts_).add_(part);
  return x_THWC.index_select(3, channel.floor_divide_(repeats_));
}

bool WanVaeDuplicateShortcut::copy_the_same(int64_t part, int64_t other) const {
  if (num_parts_ % repeats_ == 0) return part / repeats_ == other / repeats_;
  return repeats_ % num_parts_ == 0;
}

void WanVaeDuplicateShortcut::add_to(at::Tensor& y_THWK, const at::Tensor& x_THWC,
                                     bool first_chunk) const {
  const int64_t first_t = first_chunk ? temporal_factor_ - 1 : 0;
  at::Tensor y = y_THWK.unflatten(0, {-1, temporal_factor_ - first_t})
                     .unflatten(2, {-1, kSpatialFactor})
                     .unflatten(4, {-1, kSpatialFactor});  // [T,t,H,h,W,w,K]
  at::Tensor added;
  int64_t first_part_of_added = -1;
  for (int64_t t = first_t; t < temporal_factor_; ++t) {
    for (int64_t h = 0; h < kSpatialFactor; ++h) {
      for (int64_t w = 0; w < kSpatialFactor; ++w) {
        const int64_t part = (t * kSpatialFactor + h) * kSpatialFactor + w;
        if (!added.defined() || !copy_the_same(first_part_of_added, part)) {
          added = source(x_THWC, part).contiguous();
          first_part_of_added = part;
        }
        y.select(1, t - first_t).select(2, h).select(3, w).add_(added);
      }
    }
  }
}

}  // namespace sora
