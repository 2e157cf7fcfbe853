// The blocks of Wan's VAE (arXiv 2503.20314, section 4.1; diffusers' autoencoder_kl_wan.py), run on
// one chunk of frames at a time. Names of members and weights are those of the checkpoint.
//
// T frames, H height, W width, C and K channels. Frames are [T,H,W,C] contiguous.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>

#include "kernels/rms_norm_silu.h"
#include "lib/nn/conv.h"
#include "lib/nn/weights.h"

namespace sora {

// sqrt(C) * gamma * x / |x| over the channels.
class WanVaeNorm {
 public:
  // Weight "gamma" [C,1,..] with `num_dims` dimensions.
  WanVaeNorm(const Weights& weights, int64_t channels, int64_t num_dims);

  at::Tensor operator()(const at::Tensor& x_THWC) const;
  // SiLU of it, as the closed window of the convolution that follows.
  at::Tensor silu_window(const at::Tensor& x_THWC, CausalCache& cache) const;

 private:
  at::Tensor scale_C_;
};

class WanVaeResidualBlock {
 public:
  WanVaeResidualBlock(const Weights& weights, int64_t in_channels, int64_t out_channels);

  // Where `x_is_spare`, the caller will not look at x again and its memory may become the result's.
  at::Tensor operator()(at::Tensor x_THWC, CausalCache& cache, bool x_is_spare = true) const;

 private:
  WanVaeNorm norm1_, norm2_;
  CausalConv3d conv1_, conv2_;
  std::optional<PointwiseConv> conv_shortcut_;
};

// Self-attention with one head among the pixels of a frame.
class WanVaeAttention {
 public:
  WanVaeAttention(const Weights& weights, int64_t channels);
  at::Tensor operator()(const at::Tensor& x_THWC) const;

 private:
  WanVaeNorm norm_;
  PointwiseConv to_qkv_, proj_;
};

// Halves height and width and, where `temporal`, the frames; the first frame of a clip stays by
// itself.
class WanVaeDownsample {
 public:
  WanVaeDownsample(const Weights& weights, int64_t channels, bool temporal);
  at::Tensor operator()(const at::Tensor& x_THWC, CausalCache& cache) const;

 private:
  DownsampleConv resample_;
  std::optional<CausalConv3d> time_conv_;
};

// Doubles height and width and, where `temporal`, the frames; the first frame of a clip stays by
// itself.
class WanVaeUpsample {
 public:
  WanVaeUpsample(const Weights& weights, int64_t in_channels, int64_t out_channels, bool temporal);
  at::Tensor operator()(const at::Tensor& x_THWC, CausalCache& cache) const;

 private:
  UpsampleConv resample_;
  std::optional<CausalConv3d> time_conv_;
};

// The residual form's way around a stage that goes down: pixels, and frame pairs, moved into
// channels, which are then averaged in groups. A lone frame pairs with a black one before it.
class WanVaeAverageShortcut {
 public:
  WanVaeAverageShortcut(int64_t out_channels, int64_t temporal_factor, int64_t spatial_factor);
  at::Tensor operator()(const at::Tensor& x_THWC) const;

 private:
  int64_t out_channels_, temporal_factor_, spatial_factor_;
};

// The residual form's way around a stage that goes up: channels, repeated where there are too few,
// moved into pixels and frame pairs. Of the first frame of a clip only the later half of its pair
// is kept.
class WanVaeDuplicateShortcut {
 public:
  WanVaeDuplicateShortcut(int64_t in_channels, int64_t out_channels, int64_t temporal_factor);
  // Adds it to what came out of the stage: [T*factor,2H,2W,K].
  void add_to(at::Tensor& y_THWK, const at::Tensor& x_THWC, bool first_chunk) const;

 private:
  at::Tensor source(const at::Tensor& x_THWC, int64_t part) const;
  bool copy_the_same(int64_t part, int64_t other) const;

  // Channel k of part p of an output pixel copies channel (k * num_parts + p) / repeats of x.
  int64_t out_channels_, temporal_factor_, num_parts_, repeats_;
};

}  // namespace sora
