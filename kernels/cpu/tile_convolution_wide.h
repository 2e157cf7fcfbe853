// Note [Convolution by multiply-adds] of tile_convolution.h. Included by units for AVX2 or AVX-512,
// each of which keeps its own copy.
#pragma once

#include <cstdint>

#include "kernels/cpu/convolution_block.h"
#include "kernels/cpu/lanes.h"
#include "kernels/cpu/tile_convolution.h"

namespace sora::kernels::cpu {
namespace {

// Pixels of two registers of outputs each, summed at once in what registers hold.
constexpr int kMostPixels = kLanes == 16 ? 14 : 6;
constexpr int64_t kRegistersOf16 = kTileOutputs / kLanes;  // outputs
constexpr int kMostPanels = 2 / kRegistersOf16;            // of 16 outputs
// Their weights in f32: 12 KB of a first-level cache of 32.
constexpr int64_t kStepsAtOnce = kMostPanels == 2 ? 3 : 6;

constexpr int64_t kWeights = kStepsAtOnce * kTileDepth * kMostPanels * kTileOutputs;

// Channels of a depth at one place of the kernel, in the order of the packed weights.
struct Step {
  int64_t x;         // from the first number of a pixel's block to the channels
  int64_t channels;  // even: a last one without a partner has a zero for one
};

int64_t count_steps(const TileConvolution& conv, const CopiedBlock& copied) {
  return conv.taps * copied.depths * conv.kernel_rows * conv.kernel_columns;
}

void list_steps(const TileConvolution& conv, const CopiedBlock& copied, Step* step) {
  for (int64_t tap = 0; tap < conv.taps; ++tap) {
    for (int64_t depth = 0; depth < copied.depths; ++depth) {
      const int64_t left = conv.channels - depth * kTileDepth;
      const int64_t channels = left < kTileDepth ? (left + 1) / 2 * 2 : kTileDepth;
      const int64_t plane = tap * copied.frame_numbers + depth * copied.depth_numbers;
      for (int64_t column = 0; column < conv.kernel_columns; ++column) {
        for (int64_t row = 0; row < conv.kernel_rows; ++row)
          *step++ = {plane + row * copied.row_numbers + column * kTileDepth, channels};
      }
    }
  }
}

// The weights of `count` steps: pairs of bf16 [panels][steps][16][16][2], panels `stride` numbers
// apart, as f32 [channels of all steps][panels][16]. Those of the next steps are asked for: the
// second-level cache is full of x, and they come from the third or from memory.
template <int kPanels>
void widen_weights(const Step* steps, int64_t count, const uint16_t* tiles, int64_t stride,
                   float* to) {
  constexpr int64_t kOutputs = kPanels * kTileOutputs;
  for (int64_t s = 0; s < count; ++s, tiles += kTileNumbers) {
    for (int64_t c = 0; c < steps[s].channels; c += 2, to += 2 * kOutputs) {
      for (int panel = 0; panel < kPanels; ++panel) {
        const uint16_t* const from = tiles + panel * stride + c * kTileOutputs;
        _mm_prefetch(from + kStepsAtOnce * kTileNumbers, _MM_HINT_T1);
#pragma GCC unroll 2
        for (int64_t i = 0; i < kTileOutputs; i += kLanes) {
          const Words pairs = load_words(from + 2 * i);
          store_floats(to + panel * kTileOutputs + i, even_of(pairs));
          store_floats(to + kOutputs + panel * kTileOutputs + i, odd_of(pairs));
        }
      }
    }
  }
}

// sums [kPixels][32], of which kPanels of 16 count: zeros first where they begin here.
template <int kPixels, int kPanels>
void add_products(const Step* steps, int64_t count, const float* x, const float* weights,
                  float* sums, bool begins) {
  constexpr int kRegisters = kPanels * kRegistersOf16;
  Floats sum[kPixels][kRegisters];
#pragma GCC unroll 14
  for (int i = 0; i < kPixels; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < kRegisters; ++j)
      sum[i][j] = begins ? zeros() : load_floats(sums + i * kOutputsAtOnce + j * kLanes);
  }
  for (const Step* step = steps; step < steps + count; ++step) {
    const float* pixels = x + step->x;
    for (const float* const end = pixels + step->channels; pixels < end;
         ++pixels, weights += kPanels * kTileOutputs) {
      Floats weight[kRegisters];
#pragma GCC unroll 2
      for (int j = 0; j < kRegisters; ++j) weight[j] = load_floats(weights + j * kLanes);
#pragma GCC unroll 14
      for (int i = 0; i < kPixels; ++i) {
        const Floats value = splat(pixels[i * kTileDepth]);
#pragma GCC unroll 2
        for (int j = 0; j < kRegisters; ++j) sum[i][j] = multiply_add(value, weight[j], sum[i][j]);
      }
    }
  }
#pragma GCC unroll 14
  for (int i = 0; i < kPixels; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < kRegisters; ++j)
      store_floats(sums + i * kOutputsAtOnce + j * kLanes, sum[i][j]);
  }
}

using AddProducts = void (*)(const Step* steps, int64_t count, const float* x, const float* weights,
                             float* sums, bool begins);

template <int kPixels, int kPanels>
constexpr AddProducts form() {
  if constexpr (kPixels <= kMostPixels)
    return add_products<kPixels, kPanels>;
  else
    return nullptr;
}

// [pixels - 1]
template <int kPanels>
constexpr AddProducts kAddProducts[14] = {
    form<1, kPanels>(),  form<2, kPanels>(),  form<3, kPanels>(),  form<4, kPanels>(),
    form<5, kPanels>(),  form<6, kPanels>(),  form<7, kPanels>(),  form<8, kPanels>(),
    form<9, kPanels>(),  form<10, kPanels>(), form<11, kPanels>(), form<12, kPanels>(),
    form<13, kPanels>(), form<14, kPanels>()};
static_assert(kMostPixels <= 14);

struct Scratch {
  Step* steps;     // of the whole sum
  float* weights;  // of the steps at once
  float* sums;     // [frames][rows][columns][32]
  float* x;
};

// All pixels of the block, by kPanels times 16 outputs from first_output on. Of 32 outputs, or as
// many as there are, y is written when the last are summed.
template <int kPanels>
void convolve_outputs(const TileConvolution& conv, const ConvolutionBlock& block,
                      const CopiedBlock& copied, const Scratch& scratch, int64_t first_output) {
  const int64_t last_output = first_output + kPanels * kTileOutputs;
  const int64_t summed_before = first_output % kOutputsAtOnce;
  const bool finishes = last_output % kOutputsAtOnce == 0 || last_output >= conv.outputs;
  const uint16_t* const tiles =
      conv.tiles + first_output / kTileOutputs * conv.numbers_of_16_outputs;
  const int64_t steps = count_steps(conv, copied);
  const int64_t groups = (block.num_columns + kMostPixels - 1) / kMostPixels;
  for (int64_t first = 0; first < steps; first += kStepsAtOnce) {
    const int64_t count = steps - first < kStepsAtOnce ? steps - first : kStepsAtOnce;
    const Step* const some = scratch.steps + first;
    widen_weights<kPanels>(some, count, tiles + first * kTileNumbers, conv.numbers_of_16_outputs,
                           scratch.weights);
    float* sums = scratch.sums;
    for (int64_t frame = 0; frame < block.num_frames; ++frame) {
      for (int64_t row = 0; row < block.num_rows; ++row) {
        const float* const line =
            scratch.x + frame * copied.frame_numbers + row * copied.row_numbers;
        for (int64_t group = 0; group < groups; ++group) {
          const int64_t column = group * block.num_columns / groups;
          const int64_t pixels = (group + 1) * block.num_columns / groups - column;
          kAddProducts<kPanels>[pixels - 1](some, count, line + column * kTileDepth,
                                            scratch.weights, sums + summed_before, first == 0);
          if (finishes && first + count == steps)
            finish_pixels(conv, sums,
                          {block.frame + frame, block.row + row, block.column + column, pixels},
                          first_output - summed_before);
          sums += pixels * kOutputsAtOnce;
        }
      }
    }
  }
}

int64_t scratch_bytes(const TileConvolution& convolution, int64_t num_frames, int64_t num_rows,
                      int64_t num_columns) {
  const CopiedBlock copied(convolution, num_frames, num_rows, num_columns);
  const int64_t numbers =
      kWeights + num_frames * num_rows * num_columns * kOutputsAtOnce + copied.numbers();
  return numbers * static_cast<int64_t>(sizeof(float)) +
         count_steps(convolution, copied) * static_cast<int64_t>(sizeof(Step));
}

void convolve_block(const TileConvolution& convolution, const ConvolutionBlock& block,
                    void* scratch) {
  const CopiedBlock copied(convolution, block.num_frames, block.num_rows, block.num_columns);
  Scratch parts = {};
  parts.weights = static_cast<float*>(scratch);
  parts.sums = parts.weights + kWeights;
  parts.x = parts.sums + block.num_frames * block.num_rows * block.num_columns * kOutputsAtOnce;
  parts.steps = reinterpret_cast<Step*>(parts.x + copied.numbers());
  list_steps(convolution, copied, parts.steps);
  copy_block(convolution, block, copied, parts.x);
  constexpr int64_t kOutputs = kMostPanels * kTileOutputs;
  for (int64_t output = block.first_output; output < block.last_output; output += kOutputs) {
    if (output + kTileOutputs < convolution.outputs)
      convolve_outputs<kMostPanels>(convolution, block, copied, parts, output);
    else
      convolve_outputs<1>(convolution, block, copied, parts, output);
  }
}

}  // namespace
}  // namespace sora::kernels::cpu
