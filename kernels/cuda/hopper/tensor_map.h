// TileSource as the driver's CUtensorMap.
#pragma once

#include <cuda.h>

#include "kernels/cuda/hopper/tile_source.h"

namespace sora::kernels::cuda::hopper {

// Throws std::runtime_error where the driver has no tensor maps or refuses this one.
CUtensorMap tensor_map(const TileSource& source);

}  // namespace sora::kernels::cuda::hopper
