#include "kernels/cpu/tile_product.h"
#include "kernels/cpu/tile_product_wide.h"

namespace sora::kernels::cpu {

void multiply_tiles_bf16_avx512(const TileProduct& product, int64_t first_block, int64_t num_blocks,
                                int64_t first_panel, int64_t num_panels, void* scratch) {
  multiply_tiles<Bf16>(product, first_block, num_blocks, first_panel, num_panels, scratch);
}

void multiply_tiles_int8_avx512(const TileProduct& product, int64_t first_block, int64_t num_blocks,
                                int64_t first_panel, int64_t num_panels, void* scratch) {
  multiply_tiles<Int8>(product, first_block, num_blocks, first_panel, num_panels, scratch);
}

}  // namespace sora::kernels::cpu
