// Rows in global memory of which boxes are copied into shared memory by TMA: what a CUtensorMap
// says, before the driver has packed it.
#pragma once

#include <cstdint>

namespace sora::kernels::cuda::hopper {

// A box's row is 128 bytes, and the copy permutes its pieces of 16 bytes by the address's bits
// ("128-byte swizzle"): bits 4 to 6 are exclusive-or'ed with bits 7 to 9. What a box has beyond the
// tensor's ends is zero.
inline constexpr int kBoxRowBytes = 128;

struct TileSource {
  const void* data;      // at a multiple of 16 bytes
  int32_t number_bytes;  // 2: bf16; 1: any type of 8 bits
  int32_t box_rows;      // up to 256
  int64_t sizes[4];      // in numbers: a row's, rows, heads, batches
  int64_t strides[3];    // in bytes, multiples of 16: from row to row, head to head, batch to batch

  int32_t box_columns() const { return kBoxRowBytes / number_bytes; }
  int32_t box_bytes() const { return kBoxRowBytes * box_rows; }
};

}  // namespace sora::kernels::cuda::hopper
