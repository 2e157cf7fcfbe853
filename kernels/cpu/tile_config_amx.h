// AMX's tile registers: their shapes, and what the compiler has to be told of them. Included by
// units for such processors only, each of which keeps its own copy.
#pragma once

#include <cstdint>

#include "kernels/cpu/intrinsics.h"

namespace sora::kernels::cpu {
namespace {

// Tile shapes as LDTILECFG reads them (Intel SDM volume 1, chapter 18): all eight of 16 x 64 bytes.
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t bytes_in_row[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Stores before this are done before tiles are loaded after it: gcc's intrinsics do not tell the
// compiler what memory they read.
inline void finish_stores() { asm volatile("" ::: "memory"); }

// Of a configuration on the stack some stores could be taken for needless, for the same reason.
inline void begin_tiles() {
  static constexpr TileConfig kConfig;
  _tile_loadconfig(&kConfig);
  finish_stores();
}

}  // namespace
}  // namespace sora::kernels::cpu
