// Convolutions over the frames of one clip, streamed chunk by chunk: 3-D ones which see only the
// past, and 2-D ones frame by frame.
//
// T frames, H height, W width, C channels in, K channels out. Frames are [T,H,W,C] contiguous
// ("channels last"): the order in which oneDNN and cuDNN are fastest, and in which what is done
// pixel by pixel is dense.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <deque>

#include "kernels/convolution.h"
#include "lib/nn/weights.h"

namespace sora {

// What the causal convolutions of a network remember of the chunks before. Each convolution takes
// the next slot in the order of the network, so one cache serves one clip through one network: a
// local object of whoever runs it.
class CausalCache {
 public:
  void begin_chunk();
  bool first_chunk() const { return num_chunks_ == 1; }
  at::Tensor& next_slot();
  int64_t num_bytes() const;

 private:
  std::deque<at::Tensor> slots_;  // a slot stays where it is while others are added
  size_t next_ = 0;
  int64_t num_chunks_ = 0;
};

// The input of one causal convolution: the frames remembered, then the new ones, in one block of
// memory, so that nothing is padded or concatenated. At the beginning of a clip the frames before
// it count as zero.
class CausalWindow {
 public:
  // For `num_new` frames of this size that are about to be written to new_frames(); the cache keeps
  // the last `num_remembered` of all. Takes a slot of the cache.
  CausalWindow(CausalCache& cache, at::IntArrayRef new_THWC, const at::TensorOptions& options,
               int64_t num_remembered = 2);

  at::Tensor new_frames() const;

  // To be called once after new_frames() is written: what the convolution sees, [R + T,H,W,C]. R is
  // 0 where a single frame begins a clip: all that it could see before is zero.
  at::Tensor close();

 private:
  at::Tensor frames_THWC_;
  at::Tensor& slot_;
  int64_t num_remembered_;
  int64_t num_new_;
};

// Kernel and stride in time, height, width; zero padding of (kernel - 1) / 2 in height and width.
class CausalConv3d {
 public:
  // Weights "weight" [K,C,*kernel] and "bias" [K]. With an order, output channel k is what
  // order[k] is in the weights.
  CausalConv3d(const Weights& weights, int64_t in_channels, int64_t out_channels,
               std::array<int64_t, 3> kernel = {3, 3, 3}, int64_t temporal_stride = 1,
               const at::Tensor& order_K = {});

  // The output frames of a closed window: [T,H,W,K].
  at::Tensor operator()(const at::Tensor& window_THWC) const;
  // The same plus `sum_THWK`, whose memory is used for the result; it must not be read afterwards.
  at::Tensor add_to(at::Tensor sum_THWK, const at::Tensor& window_THWC) const;
  // The same, leaving `other_THWK` as it is.
  at::Tensor plus(const at::Tensor& other_THWK, const at::Tensor& window_THWC) const;

  // Copies the frames into a window of the cache first.
  at::Tensor operator()(const at::Tensor& frames_THWC, CausalCache& cache) const;

 private:
  int64_t num_taps_seen(const at::Tensor& window_THWC) const;
  at::Tensor taps_seen(const at::Tensor& window_THWC) const;
  at::Tensor by_tiles(const at::Tensor& window_THWC, const at::Tensor& other) const;

  int64_t num_taps_;
  at::Tensor weight_, bias_;  // no weight where it is packed
  std::array<int64_t, 3> padding_;
  std::array<int64_t, 3> stride_;
  kernels::PackedConvolution packed_;
};

// Kernel 1: a linear map of the channels, whatever the rank of the stored weight.
class PointwiseConv {
 public:
  // Weights "weight" [K,C,1,..] with `num_dims` dimensions, and "bias" [K].
  PointwiseConv(const Weights& weights, int64_t in_channels, int64_t out_channels,
                int64_t num_dims);
  at::Tensor operator()(const at::Tensor& frames_THWC) const;

 private:
  at::Tensor weight_KC_, bias_, packed_;
};

// Frame by frame: a square kernel of an odd side, zeros beyond the edges: [T,H,W,C] -> [T,H,W,K].
class SpatialConv {
 public:
  // Weights "weight" [K,C,side,side] and, where there is one, "bias" [K].
  SpatialConv(const Weights& weights, int64_t in_channels, int64_t out_channels, int64_t side,
              bool bias = true);
  at::Tensor operator()(const at::Tensor& frames_THWC) const;

 private:
  int64_t side_;
  at::Tensor weight_, bias_;  // no weight where it is packed
  kernels::PackedConvolution packed_;
};

// 3x3 with stride 2 in both directions, zeros only beyond the right and lower edge: [T,H,W,C] ->
// [T,H/2,W/2,K].
class DownsampleConv {
 public:
  DownsampleConv(const Weights& weights, int64_t in_channels, int64_t out_channels);
  at::Tensor operator()(const at::Tensor& frames_THWC) const;

 private:
  at::Tensor weight_, bias_;
};

// Every pixel doubled in both directions, then 3x3 with padding 1: [T,H,W,C] -> [T,2H,2W,K]. Note
// [Folded upsampling] in conv.cpp: computed without the enlarged frames.
class UpsampleConv {
 public:
  UpsampleConv(const Weights& weights, int64_t in_channels, int64_t out_channels, bool bias = true);
  at::Tensor operator()(const at::Tensor& frames_THWC) const;

 private:
  // Of even and odd rows, even and odd columns; packed or not.
  std::array<std::array<at::Tensor, 2>, 2> weights_;
  std::array<std::array<kernels::PackedConvolution, 2>, 2> packed_;
  at::Tensor bias_;
};

}  // namespace sora
