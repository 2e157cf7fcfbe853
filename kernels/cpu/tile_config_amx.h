// The shapes of AMX's tile registers that the kernels use.
#pragma once

#include <cstdint>

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

}  // namespace
}  // namespace sora::kernels::cpu
