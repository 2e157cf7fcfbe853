#include "kernels/cpu/tile_convolution.h"
#include "kernels/cpu/tile_convolution_wide.h"

namespace sora::kernels::cpu {

int64_t convolution_scratch_avx512(const TileConvolution& convolution, int64_t num_frames,
                                   int64_t num_rows, int64_t num_columns) {
  return scratch_bytes(convolution, num_frames, num_rows, num_columns);
}

void convolve_block_avx512(const TileConvolution& convolution, const ConvolutionBlock& block,
                           void* scratch) {
  convolve_block(convolution, block, scratch);
}

}  // namespace sora::kernels::cpu
