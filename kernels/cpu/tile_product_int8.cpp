// int8 products of tile_product.h on any processor, and their operands.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/cpu/int8_step.h"
#include "kernels/cpu/tile_product.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kQuads = kPieceBytes / 4;

float from_bf16(uint16_t bits) {
  const uint32_t wide = static_cast<uint32_t>(bits) << 16;
  float value;
  std::memcpy(&value, &wide, sizeof value);
  return value;
}

// To the nearest, even where two are as near; NaN stays one.
uint16_t to_bf16(float value) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  if (std::isnan(value)) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

float gated(float z, SigmoidGate gate) {
  if (gate.a == 0.0F) return z;
  return z / (1.0F + std::exp(-z * (gate.a + gate.b * z * z)));
}

void quantise_row(const uint16_t* x, int64_t depth, bool biased, int8_t* to, float* scale) {
  float top = 0.0F;
  for (int64_t k = 0; k < depth; ++k) {
    const float size = std::abs(from_bf16(x[k]));
    if (size > top || std::isnan(size)) top = size;
    if (std::isnan(top)) break;
  }
  const Int8Step step = int8_step(top);
  *scale = step.size;
  for (int64_t k = 0; k < depth; ++k) {
    const float value = std::nearbyint(from_bf16(x[k]) * step.inverse);
    const int whole =
        std::isfinite(value) ? static_cast<int>(std::clamp(value, -128.0F, 127.0F)) : 0;
    to[k / kPieceBytes * kPieceSize + k % kPieceBytes] =
        static_cast<int8_t>(biased ? whole ^ 0x80 : whole);
  }
}

}  // namespace

void quantise_rows(const uint16_t* x, int64_t stride, int64_t rows, int64_t depth, bool biased,
                   void* block, float* scale) {
  const int64_t pieces = (depth + kPieceBytes - 1) / kPieceBytes;
  std::memset(block, biased ? 0x80 : 0, static_cast<size_t>(pieces * kPieceSize));
  std::fill_n(scale, kPieceRows, 0.0F);
  for (int64_t row = 0; row < rows; ++row) {
    quantise_row(x + row * stride, depth, biased, static_cast<int8_t*>(block) + row * kPieceBytes,
                 scale + row);
  }
}

void quantise_panel(const uint16_t* weight, int64_t stride, int64_t columns, int64_t depth,
                    void* panel, float* scale, int32_t* offset) {
  constexpr int32_t kBias = 128;
  // As rows first; then, a piece at a time, four numbers of each of 32 columns side by side.
  quantise_rows(weight, stride, columns, depth, /*biased=*/false, panel, scale);
  std::fill_n(offset, kPieceRows, 0);
  for (int64_t k = 0; k < depth; k += kPieceBytes) {
    int8_t* const piece = static_cast<int8_t*>(panel) + k * kPieceRows;
    int8_t rows[kPieceRows][kPieceBytes];
    std::memcpy(rows, piece, sizeof rows);
    for (int64_t column = 0; column < kPieceRows; ++column) {
      for (int64_t i = 0; i < kPieceBytes; ++i) {
        piece[i / 4 * kPieceRows * 4 + column * 4 + i % 4] = rows[column][i];
        offset[column] += kBias * rows[column][i];
      }
    }
  }
}

void multiply_tiles_int8(const TileProduct& product, int64_t first_block, int64_t num_blocks,
                         int64_t first_panel, int64_t num_panels, void* /*scratch*/) {
  const auto* const x = static_cast<const int8_t*>(product.x);
  const auto* const weight = static_cast<const int8_t*>(product.weight);
  const int64_t first_row = first_block * kPieceRows;
  const int64_t end_row = std::min(product.rows, first_row + num_blocks * kPieceRows);
  for (int64_t panel = first_panel; panel < first_panel + num_panels; ++panel) {
    const int64_t first_column = panel * kPieceRows;
    const int64_t width = std::min(kPieceRows, product.columns - first_column);
    for (int64_t row = first_row; row < end_row; ++row) {
      int32_t sums[kPieceRows] = {};
      const int8_t* a =
          x + row / kPieceRows * product.pieces * kPieceSize + row % kPieceRows * kPieceBytes;
      const int8_t* b = weight + panel * product.pieces * kPieceSize;
      for (int64_t piece = 0; piece < product.pieces; ++piece, a += kPieceSize) {
        for (int64_t quad = 0; quad < kQuads; ++quad, b += 4 * kPieceRows) {
          for (int64_t i = 0; i < 4 * kPieceRows; ++i)
            sums[i / 4] += static_cast<int32_t>(a[quad * 4 + i % 4]) * b[i];
        }
      }
      for (int64_t i = 0; i < width; ++i) {
        const int64_t column = first_column + i;
        float z =
            static_cast<float>(sums[i]) * (product.column_scale[column] * product.row_scale[row]);
        if (product.bias != nullptr) z += product.bias[column];
        product.y[row * product.columns + column] = to_bf16(gated(z, product.gate));
      }
    }
  }
}

}  // namespace sora::kernels::cpu
