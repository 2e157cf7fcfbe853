#include "kernels/cpu/tile_linear.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "kernels/cpu/ceil_div.h"
#include "kernels/cpu/packed_memory.h"
#include "kernels/cpu/processor.h"
#include "kernels/cpu/scratch_memory.h"
#include "kernels/cpu/share_tasks.h"
#include "kernels/cpu/tile_product.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kNumbersInPiece = kPieceSize / 2;
constexpr int64_t kDepth = 32;  // of a piece
constexpr int64_t kTasksPerThread = 4;
constexpr int64_t kFewestPanels = 4;  // of a task

SigmoidGate gate_of(Activation activation) {
  constexpr float kSqrt8OverPi = 1.5957691216F;
  switch (activation) {
    case Activation::GeluTanh:  // (1 + tanh u) / 2 = 1 / (1 + exp(-2u))
      return {kSqrt8OverPi, kSqrt8OverPi * 0.044715F};
    case Activation::Silu:
      return {1.0F, 0.0F};
    case Activation::QuickGelu:
      return {1.702F, 0.0F};
    default:
      return {};
  }
}

const uint16_t* bits(const at::Tensor& x) {
  return static_cast<const uint16_t*>(x.const_data_ptr());
}
uint16_t* changeable_bits(const at::Tensor& x) { return static_cast<uint16_t*>(x.data_ptr()); }

// The products on a processor and their operands; bf16 and its packing are null where it has none.
struct LinearForm {
  MultiplyTiles* bf16;
  PackRows* pack_rows;
  PackPanel* pack_panel;
  MultiplyTiles* int8;
  QuantiseRows* quantise_rows;
  bool biased;  // x in int8
};

LinearForm linear_form(Processor processor) {
  const auto avx512 = [](MultiplyTiles* bf16, MultiplyTiles* int8, bool biased) {
    return LinearForm{bf16, pack_rows_avx512,     pack_panel_avx512,
                      int8, quantise_rows_avx512, biased};
  };
  switch (processor) {
    case Processor::Amx:
      return avx512(multiply_tiles_bf16_amx, multiply_tiles_int8_amx, false);
    case Processor::Avx512Bf16:
      return avx512(multiply_tiles_bf16_avx512bf16, multiply_tiles_int8_avx512bf16, true);
    case Processor::Avx512:
      return avx512(multiply_tiles_bf16_avx512, multiply_tiles_int8_avx512, false);
    case Processor::Avx2:
      return {multiply_tiles_bf16_avx2, pack_rows_avx2,     pack_panel_avx2,
              multiply_tiles_int8_avx2, quantise_rows_avx2, false};
    case Processor::Plain:
      break;
  }
  return {nullptr, nullptr, nullptr, multiply_tiles_int8, quantise_rows, false};
}

// Blocks first_block to first_block + num_blocks of x, each [K/32, 1024].
void pack_blocks(const at::Tensor& x, int64_t first_block, int64_t num_blocks, uint16_t* packed) {
  // Of the same layout in every form.
  static PackRows* const pack_rows_of_block = linear_form(this_processor()).pack_rows;
  const int64_t depth = x.size(1), block_numbers = ceil_div(depth, kDepth) * kNumbersInPiece;
  for (int64_t block = 0; block < num_blocks; ++block) {
    const int64_t row = (first_block + block) * kPieceRows;
    pack_rows_of_block(bits(x) + row * depth, depth, std::min(kPieceRows, x.size(0) - row), depth,
                       packed + block * block_numbers);
  }
}

// Those from first_block on: [blocks, K/32, 1024].
at::Tensor pack_rows(const at::Tensor& x, int64_t first_block) {
  const int64_t pieces = ceil_div(x.size(1), kDepth),
                blocks = ceil_div(x.size(0), kPieceRows) - first_block;
  const at::Tensor packed = at::empty({blocks, pieces, kNumbersInPiece}, x.options());
  share_tasks(blocks, [&](int64_t begin, int64_t end) {
    pack_blocks(x, first_block + begin, end - begin,
                changeable_bits(packed) + begin * pieces * kNumbersInPiece);
  });
  return packed;
}

// One number a column, with those that padding adds.
at::Tensor padded_bias(const at::Tensor& bias, int64_t panels) {
  if (!bias.defined()) return {};
  return at::constant_pad_nd(bias.to(at::kFloat), {0, panels * kPieceRows - bias.size(0)});
}

// How the panels of a product are shared out among tasks: `groups` of them for each range of
// kMostBlocks blocks of rows.
struct Sharing {
  int64_t blocks, ranges, groups, group_size;
};

Sharing share_out(int64_t rows, int64_t panels) {
  const int64_t blocks = ceil_div(rows, kPieceRows), ranges = ceil_div(blocks, kMostBlocks);
  const int64_t wanted = ceil_div(kTasksPerThread * at::get_num_threads(), ranges);
  const int64_t groups =
      std::clamp<int64_t>(wanted, 1, std::max<int64_t>(1, panels / kFewestPanels));
  return {blocks, ranges, groups, ceil_div(panels, groups)};
}

void multiply_share(const TileProduct& product, int64_t panels, const Sharing& shares, int64_t task,
                    MultiplyTiles* multiply_tiles) {
  const int64_t first_block = task / shares.groups * kMostBlocks,
                first_panel = task % shares.groups * shares.group_size;
  const int64_t num_panels = std::min(shares.group_size, panels - first_panel);
  if (num_panels <= 0) return;
  const int64_t num_blocks = std::min(kMostBlocks, shares.blocks - first_block);
  multiply_tiles(product, first_block, num_blocks, first_panel, num_panels,
                 scratch_memory(tile_product_scratch(product.pieces, num_panels)));
}

void multiply(const TileProduct& product, int64_t panels, MultiplyTiles* multiply_tiles) {
  const Sharing shares = share_out(product.rows, panels);
  share_tasks(shares.ranges * shares.groups, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task)
      multiply_share(product, panels, shares, task, multiply_tiles);
  });
}

// The rows from first_block on, `x` being their blocks.
TileProduct from_block(TileProduct product, int64_t first_block, int64_t panels, const void* x) {
  const int64_t row = first_block * kPieceRows;
  product.x = x;
  product.rows -= row;
  if (product.y != nullptr) product.y += row * product.columns;
  if (product.packed_y != nullptr) product.packed_y += first_block * panels * kNumbersInPiece;
  return product;
}

// The same of x in rows, in bf16. A range of them that is one task's is packed by the task itself:
// it is in the second-level cache when it is multiplied, and x is not written a second time. So are
// all ranges, or where they are few for several threads all but the last ones, one for each, which
// are shared out in groups so that all threads end at about the same time.
void pack_and_multiply(const at::Tensor& x, const TileProduct& product, int64_t panels,
                       MultiplyTiles* multiply_tiles) {
  const int64_t ranges = ceil_div(product.rows, kMostBlocks * kPieceRows);
  const int64_t threads = at::get_num_threads();
  const bool suffice = threads == 1 || ranges >= kTasksPerThread * threads;
  const int64_t whole = suffice ? ranges : std::max<int64_t>(0, ranges - threads);
  const int64_t packed_bytes = kMostBlocks * product.pieces * kPieceSize;
  const auto multiply_whole = [&](int64_t range) {
    const int64_t first_block = range * kMostBlocks;
    char* const scratch =
        scratch_memory(packed_bytes + tile_product_scratch(product.pieces, panels));
    const TileProduct part = from_block(product, first_block, panels, scratch);
    const int64_t num_blocks = std::min(kMostBlocks, ceil_div(part.rows, kPieceRows));
    pack_blocks(x, first_block, num_blocks, reinterpret_cast<uint16_t*>(scratch));
    multiply_tiles(part, 0, num_blocks, 0, panels, scratch + packed_bytes);
  };

  at::Tensor packed_rest;
  TileProduct rest = {};
  Sharing shares = {};
  if (whole < ranges) {
    packed_rest = pack_rows(x, whole * kMostBlocks);
    rest = from_block(product, whole * kMostBlocks, panels, packed_rest.const_data_ptr());
    shares = share_out(rest.rows, panels);
  }
  share_tasks(whole + shares.ranges * shares.groups, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      if (task < whole)
        multiply_whole(task);
      else
        multiply_share(rest, panels, shares, task - whole, multiply_tiles);
    }
  });
}

// Without x.
TileProduct product_of(const at::Tensor& packed, const at::Tensor& bias, Activation activation,
                       int64_t rows, int64_t columns) {
  TileProduct product = {};
  product.weight = packed.const_data_ptr();
  product.pieces = packed.size(1);
  product.bias = bias.defined() ? bias.const_data_ptr<float>() : nullptr;
  product.gate = gate_of(activation);
  product.rows = rows;
  product.columns = columns;
  return product;
}

}  // namespace

int64_t tile_product_scratch(int64_t pieces, int64_t num_panels) {
  // kWidePieces is the fewest pieces that any form takes in one pass.
  const int64_t panels = pieces <= kWidePieces ? 2 : std::max<int64_t>(2, num_panels);
  const int64_t wide_operands = kMostBlocks * kWidePieces + kWidePieces;
  return (panels * kMostBlocks + wide_operands) * kPieceRows * kPieceRows *
         static_cast<int64_t>(sizeof(float));
}

at::Tensor pack_tiles(const at::Tensor& weight) {
  PackPanel* const pack_panel = linear_form(this_processor()).pack_panel;
  if (pack_panel == nullptr || !weight.is_cpu() || weight.scalar_type() != at::kBFloat16 ||
      weight.dim() != 2 || weight.stride(1) != 1) {
    return {};
  }
  const int64_t columns = weight.size(0), depth = weight.size(1), pieces = ceil_div(depth, kDepth),
                panels = ceil_div(columns, kPieceRows);
  const at::Tensor packed = packed_memory({panels, pieces, kNumbersInPiece});
  if (!packed.defined()) return {};
  share_tasks(panels, [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel) {
      const int64_t column = panel * kPieceRows;
      pack_panel(bits(weight) + column * weight.stride(0), weight.stride(0),
                 std::min(kPieceRows, columns - column), depth,
                 changeable_bits(packed) + panel * pieces * kNumbersInPiece);
    }
  });
  return packed;
}

int64_t inner_rows(int64_t rest) {
  constexpr int64_t kRows = 1024;
  return rest <= 3 * kRows / 2 ? rest : kRows;
}

bool has_tile_activation(Activation activation) { return activation != Activation::Gelu; }

void tile_linear(const at::Tensor& x, const at::Tensor& packed, const at::Tensor& bias,
                 Activation activation, const at::Tensor& y, Processor processor) {
  if (x.size(0) == 0) return;
  const at::Tensor added = padded_bias(bias, packed.size(0));
  TileProduct product = product_of(packed, added, activation, x.size(0), y.size(1));
  product.y = changeable_bits(y);
  pack_and_multiply(x, product, packed.size(0), linear_form(processor).bf16);
}

void tile_feed_forward(const at::Tensor& x, const FeedForwardWeights& weights,
                       Activation activation, const at::Tensor& y) {
  const int64_t rows = x.size(0), inner_width = weights.w1.size(0),
                panels = weights.packed1.size(0);
  const at::Tensor bias1 = padded_bias(weights.b1, panels),
                   bias2 = padded_bias(weights.b2, weights.packed2.size(0));
  MultiplyTiles* const multiply_tiles = linear_form(bf16_processor()).bf16;
  for (int64_t row = 0, count; row < rows; row += count) {
    count = inner_rows(rows - row);
    const at::Tensor inner =
        at::empty({ceil_div(count, kPieceRows), panels, kNumbersInPiece}, x.options());
    TileProduct first = product_of(weights.packed1, bias1, activation, count, inner_width);
    first.packed_y = changeable_bits(inner);
    pack_and_multiply(x.narrow(0, row, count), first, panels, multiply_tiles);
    TileProduct second = product_of(weights.packed2, bias2, Activation::None, count, y.size(1));
    second.x = inner.const_data_ptr();
    second.y = changeable_bits(y) + row * y.size(1);
    multiply(second, weights.packed2.size(0), multiply_tiles);
  }
}

Int8Weight quantise_tiles(const at::Tensor& weight) {
  const int64_t columns = weight.size(0), depth = weight.size(1),
                pieces = ceil_div(depth, kPieceBytes), panels = ceil_div(columns, kPieceRows);
  const Int8Weight quantised = {at::empty({panels, pieces, kPieceSize}, at::kChar),
                                at::empty({panels * kPieceRows}, at::kFloat),
                                at::empty({panels * kPieceRows}, at::kInt), columns, depth};
  share_tasks(panels, [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel) {
      const int64_t column = panel * kPieceRows;
      quantise_panel(bits(weight) + column * weight.stride(0), weight.stride(0),
                     std::min(kPieceRows, columns - column), depth,
                     static_cast<char*>(quantised.pieces.data_ptr()) + panel * pieces * kPieceSize,
                     quantised.scale.mutable_data_ptr<float>() + column,
                     quantised.offset.mutable_data_ptr<int32_t>() + column);
    }
  });
  return quantised;
}

void tile_linear_int8(const at::Tensor& x, const Int8Weight& weight, const at::Tensor& bias,
                      Activation activation, const at::Tensor& y, Processor processor) {
  const int64_t rows = x.size(0), depth = x.size(1), blocks = ceil_div(rows, kPieceRows),
                panels = weight.pieces.size(0), pieces = weight.pieces.size(1);
  if (rows == 0) return;
  const LinearForm form = linear_form(processor);
  const at::Tensor quantised = at::empty({blocks, pieces, kPieceSize}, at::kChar);
  const at::Tensor scale = at::empty({blocks * kPieceRows}, at::kFloat);
  share_tasks(blocks, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block) {
      const int64_t row = block * kPieceRows;
      form.quantise_rows(bits(x) + row * depth, depth, std::min(kPieceRows, rows - row), depth,
                         form.biased,
                         static_cast<char*>(quantised.data_ptr()) + block * pieces * kPieceSize,
                         scale.mutable_data_ptr<float>() + row);
    }
  });
  const at::Tensor added = padded_bias(bias, panels);
  TileProduct product = product_of(weight.pieces, added, activation, rows, weight.num_columns);
  product.x = quantised.const_data_ptr();
  product.row_scale = scale.const_data_ptr<float>();
  product.column_scale = weight.scale.const_data_ptr<float>();
  product.column_offset = form.biased ? weight.offset.const_data_ptr<int32_t>() : nullptr;
  product.y = changeable_bits(y);
  multiply(product, panels, form.int8);
}

}  // namespace sora::kernels::cpu
