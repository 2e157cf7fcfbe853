// Convolution of frames, channels last, with stride 1:
//
//   y[t,h,w,k] = bias[k] + sum over a,i,j,c of x[t+a, h+i-top, w+j-left, c] weight[k,c,a,i,j]
//                (+ other[t,h,w,k])
//
// T frames, H height, W width, C channels in, K channels out; weight [K,C,A,I,J]. Beyond the height
// and width of x its pixels count as 0. In time the kernel stays within x: of A taps the last
// x.size(0) - y.size(0) + 1 are summed, all or those that see a frame. Sums in f32, one rounding.
#pragma once

#include <ATen/core/Tensor.h>

#include "kernels/cpu/processor.h"

namespace sora::kernels {

// Of zeros above and left of a frame.
struct Padding {
  int64_t top = 0, left = 0;
};

// A weight and its bias as they are read block by block (Note [Convolution by tiles]); without
// tiles where the processor or the type is not what they are for.
struct PackedConvolution {
  at::Tensor tiles;  // [K/16, A, C/32, J, I, 16, 16, 2]: pairs of channels by 16 outputs
  at::Tensor bias;   // [K] f32, zeros up to a multiple of 32
  int64_t in_channels = 0, out_channels = 0;
  cpu::Processor processor = cpu::Processor::Plain;  // whose form reads them

  bool defined() const { return tiles.defined(); }
};

// Weight [K,C,A,I,J] and bias [K], bf16, for AMX, AVX-512 or AVX2: what cpu::bf16_processor()
// names. Others are left to oneDNN: with fast dot products of bf16 its convolutions are as fast.
PackedConvolution pack_convolution(const at::Tensor& weight, const at::Tensor& bias);
// For a processor that this one is or could stand for.
PackedConvolution pack_convolution(const at::Tensor& weight, const at::Tensor& bias,
                                   cpu::Processor processor);

// x_THWC bf16 contiguous; y_THWK and `other`, where there is one, bf16 with dense channels, frames,
// rows and pixels lying where they want: y may be every second pixel of an enlarged frame. `other`
// may be y. The same bits at any number of threads.
void convolve_out(const at::Tensor& x_THWC, const PackedConvolution& weights, Padding padding,
                  const at::Tensor& other, const at::Tensor& y_THWK);

namespace reference {
// The same of any type and on any device.
void convolve_out(const at::Tensor& x_THWC, const at::Tensor& weight, const at::Tensor& bias,
                  Padding padding, const at::Tensor& other, const at::Tensor& y_THWK);
}  // namespace reference

}  // namespace sora::kernels
