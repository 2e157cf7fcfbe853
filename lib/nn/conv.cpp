#include "lib/nn/conv.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "kernels/linear.h"
#include "lib/nn/conv_onednn.h"

namespace sora {
namespace {

constexpr auto kChannelsLast2d = at::MemoryFormat::ChannelsLast;
constexpr auto kChannelsLast3d = at::MemoryFormat::ChannelsLast3d;

// [T,H,W,C] as the one clip [1,C,T,H,W] of a 3-D convolution, or as the T pictures [T,C,H,W] of a
// 2-D one; no copies.
at::Tensor as_clip(const at::Tensor& frames_THWC) {
  return frames_THWC.permute({3, 0, 1, 2}).unsqueeze(0);
}
at::Tensor as_pictures(const at::Tensor& frames_THWC) { return frames_THWC.permute({0, 3, 1, 2}); }

at::Tensor from_clip(const at::Tensor& clip_1CTHW) {
  return clip_1CTHW.squeeze(0).permute({1, 2, 3, 0}).contiguous();
}
at::Tensor from_pictures(const at::Tensor& pictures_TCHW) {
  return pictures_TCHW.permute({0, 2, 3, 1}).contiguous();
}

at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    at::IntArrayRef padding, at::IntArrayRef stride) {
  if (onednn::can_convolve(x)) return onednn::convolve(x, weight, bias, padding, stride);
  const std::vector<int64_t> ones(stride.size(), 1), zeros(stride.size(), 0);
  return at::convolution(x, weight, bias, stride, padding, ones, /*transposed=*/false, zeros,
                         /*groups=*/1);
}

// convolve_out() into new frames of x's height and width.
at::Tensor convolve_packed(const at::Tensor& x_THWC, const kernels::PackedConvolution& packed,
                           int64_t frames, kernels::Padding padding, const at::Tensor& other) {
  at::Tensor y_THWK =
      at::empty({frames, x_THWC.size(1), x_THWC.size(2), packed.out_channels}, x_THWC.options());
  kernels::convolve_out(x_THWC.contiguous(), packed, padding, other, y_THWK);
  return y_THWK;
}

// The tiles of a weight [K,C,..]; where there are such, the weight is given back.
kernels::PackedConvolution pack(at::Tensor& weight, const at::Tensor& bias) {
  kernels::PackedConvolution packed =
      kernels::pack_convolution(weight.dim() == 4 ? weight.unsqueeze(2) : weight, bias);
  if (packed.defined()) weight.reset();
  return packed;
}

}  // namespace

void CausalCache::begin_chunk() {
  next_ = 0;
  ++num_chunks_;
}

at::Tensor& CausalCache::next_slot() {
  TORCH_INTERNAL_ASSERT(num_chunks_ > 0, "begin_chunk() comes first");
  if (next_ == slots_.size()) {
    TORCH_INTERNAL_ASSERT(first_chunk(), "a chunk asks for more slots than the first one did");
    slots_.emplace_back();
  }
  return slots_[next_++];
}

int64_t CausalCache::num_bytes() const {
  int64_t bytes = 0;
  for (const at::Tensor& slot : slots_) {
    if (slot.defined()) bytes += slot.numel() * slot.element_size();
  }
  return bytes;
}

CausalWindow::CausalWindow(CausalCache& cache, at::IntArrayRef new_THWC,
                           const at::TensorOptions& options, int64_t num_remembered)
    : slot_(cache.next_slot()), num_remembered_(num_remembered), num_new_(new_THWC[0]) {
  const int64_t num_known = slot_.defined() ? slot_.size(0) : 0;
  const int64_t num_before = num_known == 0 && num_new_ == 1 ? 0 : num_remembered;
  frames_THWC_ = at::empty({num_before + num_new_, new_THWC[1], new_THWC[2], new_THWC[3]}, options);
  if (num_known < num_before) frames_THWC_.narrow(0, 0, num_before - num_known).zero_();
  if (num_known > 0) frames_THWC_.narrow(0, num_before - num_known, num_known).copy_(slot_);
}

at::Tensor CausalWindow::new_frames() const {
  return frames_THWC_.narrow(0, frames_THWC_.size(0) - num_new_, num_new_);
}

at::Tensor CausalWindow::close() {
  const int64_t kept = std::min(num_remembered_, frames_THWC_.size(0));
  slot_ = frames_THWC_.narrow(0, frames_THWC_.size(0) - kept, kept).clone();
  return std::move(frames_THWC_);
}

CausalConv3d::CausalConv3d(const Weights& weights, int64_t in_channels, int64_t out_channels,
                           std::array<int64_t, 3> kernel, int64_t temporal_stride,
                           const at::Tensor& order_K)
    : num_taps_(kernel[0]),
      weight_(weights.get("weight", {out_channels, in_channels, kernel[0], kernel[1], kernel[2]})),
      bias_(weights.get("bias", {out_channels})),
      padding_{0, (kernel[1] - 1) / 2, (kernel[2] - 1) / 2},
      stride_{temporal_stride, 1, 1} {
  if (order_K.defined()) {
    weight_ = weight_.index_select(0, order_K);
    bias_ = bias_.index_select(0, order_K);
  }
  if (temporal_stride == 1) packed_ = pack(weight_, bias_);
  if (!packed_.defined()) weight_ = weight_.contiguous(kChannelsLast3d);
}

// Taps that would meet nothing but the zeros before a clip are left out.
int64_t CausalConv3d::num_taps_seen(const at::Tensor& window_THWC) const {
  return std::min(num_taps_, window_THWC.size(0));
}

at::Tensor CausalConv3d::taps_seen(const at::Tensor& window_THWC) const {
  const int64_t num_seen = num_taps_seen(window_THWC);
  if (num_seen == num_taps_) return weight_;
  return weight_.narrow(2, num_taps_ - num_seen, num_seen).contiguous(kChannelsLast3d);
}

at::Tensor CausalConv3d::by_tiles(const at::Tensor& window_THWC, const at::Tensor& other) const {
  return convolve_packed(window_THWC, packed_, window_THWC.size(0) - num_taps_seen(window_THWC) + 1,
                         {padding_[1], padding_[2]}, other);
}

at::Tensor CausalConv3d::operator()(const at::Tensor& window_THWC) const {
  if (packed_.defined()) return by_tiles(window_THWC, {});
  return from_clip(
      convolve(as_clip(window_THWC), taps_seen(window_THWC), bias_, padding_, stride_));
}

at::Tensor CausalConv3d::add_to(at::Tensor sum_THWK, const at::Tensor& window_THWC) const {
  if (packed_.defined()) {
    kernels::convolve_out(window_THWC, packed_, {padding_[1], padding_[2]}, sum_THWK, sum_THWK);
    return sum_THWK;
  }
  if (!onednn::can_convolve(window_THWC)) return sum_THWK.add_((*this)(window_THWC));
  at::Tensor sum = as_clip(sum_THWK);
  onednn::convolve_add_(sum, as_clip(window_THWC), taps_seen(window_THWC), bias_, padding_,
                        stride_);
  return sum_THWK;
}

at::Tensor CausalConv3d::plus(const at::Tensor& other_THWK, const at::Tensor& window_THWC) const {
  if (packed_.defined()) return by_tiles(window_THWC, other_THWK);
  if (!onednn::can_convolve(window_THWC)) return (*this)(window_THWC).add_(other_THWK);
  return from_clip(onednn::convolve_plus(as_clip(other_THWK), as_clip(window_THWC),
                                         taps_seen(window_THWC), bias_, padding_, stride_));
}

at::Tensor CausalConv3d::operator()(const at::Tensor& frames_THWC, CausalCache& cache) const {
  CausalWindow window(cache, frames_THWC.sizes(), frames_THWC.options());
  window.new_frames().copy_(frames_THWC);
  return (*this)(window.close());
}

PointwiseConv::PointwiseConv(const Weights& weights, int64_t in_channels, int64_t out_channels,
                             int64_t num_dims) {
  std::vector<int64_t> shape(num_dims, 1);
  shape[0] = out_channels;
  shape[1] = in_channels;
  weight_KC_ = weights.get("weight", shape).reshape({out_channels, in_channels});
  bias_ = weights.get("bias", {out_channels});
  packed_ = kernels::pack(weight_KC_);
}

at::Tensor PointwiseConv::operator()(const at::Tensor& frames_THWC) const {
  return kernels::linear(frames_THWC.contiguous(), weight_KC_, bias_, kernels::Activation::None,
                         packed_);
}

SpatialConv::SpatialConv(const Weights& weights, int64_t in_channels, int64_t out_channels,
                         int64_t side, bool bias)
    : side_(side),
      weight_(weights.get("weight", {out_channels, in_channels, side, side})),
      bias_(bias ? weights.get("bias", {out_channels})
                 : at::zeros({out_channels}, weight_.options())),
      packed_(pack(weight_, bias_)) {
  if (!packed_.defined()) weight_ = weight_.contiguous(kChannelsLast2d);
}

at::Tensor SpatialConv::operator()(const at::Tensor& frames_THWC) const {
  const int64_t edge = side_ / 2;
  if (packed_.defined())
    return convolve_packed(frames_THWC, packed_, frames_THWC.size(0), {edge, edge}, {});
  return from_pictures(
      convolve(as_pictures(frames_THWC.contiguous()), weight_, bias_, {edge, edge}, {1, 1}));
}

DownsampleConv::DownsampleConv(const Weights& weights, int64_t in_channels, int64_t out_channels)
    : weight_(weights.get("weight", {out_channels, in_channels, 3, 3}).contiguous(kChannelsLast2d)),
      bias_(weights.get("bias", {out_channels})) {}

at::Tensor DownsampleConv::operator()(const at::Tensor& frames_THWC) const {
  const at::Tensor padded_THWC = at::constant_pad_nd(frames_THWC, {0, 0, 0, 1, 0, 1});
  return from_pictures(convolve(as_pictures(padded_THWC), weight_, bias_, {0, 0}, {2, 2}));
}

// Note [Folded upsampling]
// After doubling, the three taps of a row meet only two different pixels: for an even output row
// the pixel before it (tap 0) and its own (taps 1 and 2), for an odd one its own (taps 0 and 1) and
// the next (tap 2). With the taps that meet the same pixel summed, each of the four kinds of output
// pixel (even or odd row, even or odd column) is a 2x2 convolution of the small frame: 4 products a
// pixel instead of 9, and the enlarged frame is never made. The sums are formed in float32 and
// rounded once to the type of the weights. (One transposed convolution says the same, but oneDNN's
// depends on the number of threads for some sizes, and is slower from 96 channels on.)
UpsampleConv::UpsampleConv(const Weights& weights, int64_t in_channels, int64_t out_channels,
                           bool bias)
    : bias_(bias ? weights.get("bias", {out_channels})
                 : at::zeros({out_channels},
                             at::TensorOptions(weights.dtype()).device(weights.device()))) {
  const at::Tensor taps = weights.get_f32("weight", {out_channels, in_channels, 3, 3});
  const auto options = at::TensorOptions(at::kFloat).device(taps.device());
  const std::array<at::Tensor, 2> folds = {at::tensor({1, 0, 0, 0, 1, 1}, options).view({2, 3}),
                                           at::tensor({1, 1, 0, 0, 0, 1}, options).view({2, 3})};
  for (int64_t row = 0; row < 2; ++row) {
    for (int64_t column = 0; column < 2; ++column) {
      at::Tensor& weight = weights_[row][column];
      weight = at::matmul(at::matmul(folds[row], taps), folds[column].t()).to(weights.dtype());
      packed_[row][column] = pack(weight, bias_);
      if (weight.defined()) weight = weight.contiguous(kChannelsLast2d);
    }
  }
}

at::Tensor UpsampleConv::operator()(const at::Tensor& frames_THWC) const {
  const int64_t frames = frames_THWC.size(0), height = frames_THWC.size(1);
  const int64_t width = frames_THWC.size(2), channels = bias_.size(0);
  at::Tensor y = at::empty({frames, height, 2, width, 2, channels}, frames_THWC.options());
  const at::Tensor x_THWC = frames_THWC.contiguous();
  for (int64_t row = 0; row < 2; ++row) {
    for (int64_t column = 0; column < 2; ++column) {
      const at::Tensor every_second = y.select(2, row).select(3, column);
      if (packed_[row][column].defined()) {
        kernels::convolve_out(x_THWC, packed_[row][column], {1 - row, 1 - column}, {},
                              every_second);
        continue;
      }
      const at::Tensor part_THWK = from_pictures(
          convolve(as_pictures(x_THWC), weights_[row][column], bias_, {1, 1}, {1, 1}));
      every_second.copy_(part_THWK.narrow(1, row, height).narrow(2, column, width));
    }
  }
  return y.view({frames, 2 * height, 2 * width, channels});
}

}  // namespace sora
