// Note [Convolution by multiply-adds] of tile_convolution.h.
#include "kernels/cpu/convolution_block_avx512.h"
#include "kernels/cpu/intrinsics.h"
#include "kernels/cpu/lanes_avx512.h"
#include "kernels/cpu/tile_convolution.h"

namespace sora::kernels::cpu {
namespace {

constexpr int kMostPixels = 14;      // with 32 outputs each: 28 of 32 registers
constexpr int64_t kStepsAtOnce = 3;  // their weights in f32: 12 KB of a first-level cache of 32

constexpr int64_t kWeights = kStepsAtOnce * kTileDepth * kOutputsAtOnce;

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
  for (int64_t s = 0; s < count; ++s, tiles += kTileNumbers) {
    for (int64_t c = 0; c < steps[s].channels; c += 2, to += 2 * kPanels * kLanes) {
      for (int panel = 0; panel < kPanels; ++panel) {
        const uint16_t* const from = tiles + panel * stride + c * kLanes;
        _mm_prefetch(from + kStepsAtOnce * kTileNumbers, _MM_HINT_T1);
        const __m512i pairs = _mm512_loadu_si512(from);
        _mm512_store_ps(to + panel * kLanes, even_of(pairs));
        _mm512_store_ps(to + (kPanels + panel) * kLanes, odd_of(pairs));
      }
    }
  }
}

// sums [kPixels][32], of which kPanels of 16 count: zeros first where they begin here.
template <int kPixels, int kPanels>
void add_products(const Step* steps, int64_t count, const float* x, const float* weights,
                  float* sums, bool begins) {
  __m512 sum[kPixels][kPanels];
#pragma GCC unroll 14
  for (int i = 0; i < kPixels; ++i) {
#pragma GCC unroll 2
    for (int panel = 0; panel < kPanels; ++panel)
      sum[i][panel] =
          begins ? _mm512_setzero_ps() : _mm512_load_ps(sums + i * kOutputsAtOnce + panel * kLanes);
  }
  for (const Step* step = steps; step < steps + count; ++step) {
    const float* pixels = x + step->x;
    for (const float* const end = pixels + step->channels; pixels < end;
         ++pixels, weights += kPanels * kLanes) {
      __m512 weight[kPanels];
#pragma GCC unroll 2
      for (int panel = 0; panel < kPanels; ++panel)
        weight[panel] = _mm512_load_ps(weights + panel * kLanes);
#pragma GCC unroll 14
      for (int i = 0; i < kPixels; ++i) {
        const __m512 value = _mm512_set1_ps(pixels[i * kTileDepth]);
#pragma GCC unroll 2
        for (int panel = 0; panel < kPanels; ++panel)
          sum[i][panel] = _mm512_fmadd_ps(value, weight[panel], sum[i][panel]);
      }
    }
  }
#pragma GCC unroll 14
  for (int i = 0; i < kPixels; ++i) {
#pragma GCC unroll 2
    for (int panel = 0; panel < kPanels; ++panel)
      _mm512_store_ps(sums + i * kOutputsAtOnce + panel * kLanes, sum[i][panel]);
  }
}

using AddProducts = void (*)(const Step* steps, int64_t count, const float* x, const float* weights,
                             float* sums, bool begins);

// [pixels - 1]
template <int kPanels>
constexpr AddProducts kAddProducts[kMostPixels] = {
    add_products<1, kPanels>,  add_products<2, kPanels>,  add_products<3, kPanels>,
    add_products<4, kPanels>,  add_products<5, kPanels>,  add_products<6, kPanels>,
    add_products<7, kPanels>,  add_products<8, kPanels>,  add_products<9, kPanels>,
    add_products<10, kPanels>, add_products<11, kPanels>, add_products<12, kPanels>,
    add_products<13, kPanels>, add_products<14, kPanels>};

struct Scratch {
  Step* steps;     // of the whole sum
  float* weights;  // of the steps at once
  float* sums;     // [frames][rows][columns][32]
  float* x;
};

// All pixels of the block, by the outputs from first_output on, 32 or, with one panel, 16.
template <int kPanels>
void convolve_outputs(const TileConvolution& conv, const ConvolutionBlock& block,
                      const CopiedBlock& copied, const Scratch& scratch, int64_t first_output) {
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
                                            scratch.weights, sums, first == 0);
          if (first + count == steps)
            finish_pixels(conv, sums,
                          {block.frame + frame, block.row + row, block.column + column, pixels},
                          first_output);
          sums += pixels * kOutputsAtOnce;
        }
      }
    }
  }
}

}  // namespace

int64_t convolution_scratch_avx512(const TileConvolution& convolution, int64_t num_frames,
                                   int64_t num_rows, int64_t num_columns) {
  const CopiedBlock copied(convolution, num_frames, num_rows, num_columns);
  const int64_t numbers =
      kWeights + num_frames * num_rows * num_columns * kOutputsAtOnce + copied.numbers();
  return numbers * static_cast<int64_t>(sizeof(float)) +
         count_steps(convolution, copied) * static_cast<int64_t>(sizeof(Step));
}

void convolve_block_avx512(const TileConvolution& convolution, const ConvolutionBlock& block,
                           void* scratch) {
  const CopiedBlock copied(convolution, block.num_frames, block.num_rows, block.num_columns);
  Scratch parts = {};
  parts.weights = static_cast<float*>(scratch);
  parts.sums = parts.weights + kWeights;
  parts.x = parts.sums + block.num_frames * block.num_rows * block.num_columns * kOutputsAtOnce;
  parts.steps = reinterpret_cast<Step*>(parts.x + copied.numbers());
  list_steps(convolution, copied, parts.steps);
  copy_block(convolution, block, copied, parts.x);
  for (int64_t output = block.first_output; output < block.last_output; output += kOutputsAtOnce) {
    if (output + kTileOutputs < convolution.outputs)
      convolve_outputs<2>(convolution, block, copied, parts, output);
    else
      convolve_outputs<1>(convolution, block, copied, parts, output);
  }
}

}  // namespace sora::kernels::cpu
