#include "kernels/cpu/flash_attention.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cpu/attention_group.h"
#include "kernels/cpu/ceil_div.h"
#include "kernels/cpu/scratch_memory.h"
#include "kernels/cpu/share_tasks.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kMostWidth = 256;
// Queries that read the keys together. More of them ask less of the memory, fewer share out better.
constexpr int64_t kRowsInGroup = 192, kRowsInLongGroup = 576, kLong = 4096;
constexpr int64_t kTilesPackedTogether = 16;
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

// How attention is computed in one type on one processor. `stride` of packing is in numbers; in 8
// bits there is more to packing than tiles.
struct AttentionForm {
  ScratchBytes* scratch_bytes;
  Attend* attend;
  int64_t keys_in_tile;
  void (*pack_keys)(const void* keys, int64_t stride, int64_t count, int64_t width, void* tile);
  void (*pack_values)(const void* values, int64_t stride, int64_t count, int64_t width, void* tile);
};

template <typename Number, void kPack(const Number*, int64_t, int64_t, int64_t, Number*)>
void pack_tile(const void* from, int64_t stride, int64_t count, int64_t width, void* tile) {
  kPack(static_cast<const Number*>(from), stride, count, width, static_cast<Number*>(tile));
}

AttentionForm bf16_form(Processor processor) {
  const auto avx512 = [](ScratchBytes* scratch_bytes, Attend* attend) {
    return AttentionForm{scratch_bytes, attend, kKeysInTile,
                         pack_tile<uint16_t, pack_keys_bf16_avx512>,
                         pack_tile<uint16_t, pack_values_bf16_avx512>};
  };
  switch (processor) {
    case Processor::Amx:
      return avx512(attention_scratch_amx, attend_amx);
    case Processor::Avx512Bf16:
      return avx512(attention_scratch_avx512bf16, attend_avx512bf16);
    case Processor::Avx512:
      return avx512(attention_scratch_bf16_avx512, attend_bf16_avx512);
    default:
      return {attention_scratch_bf16_avx2, attend_bf16_avx2, kKeysInTile,
              pack_tile<uint16_t, pack_keys_bf16_avx2>, pack_tile<uint16_t, pack_values_bf16_avx2>};
  }
}

AttentionForm f32_form(Processor processor) {
  Attend* const attend = processor >= Processor::Avx512 ? attend_f32_avx512
                         : processor == Processor::Avx2 ? attend_f32_avx2
                                                        : attend_f32;
  return {attention_scratch_f32, attend, kKeysInTile, pack_tile<float, pack_keys_f32>,
          pack_tile<float, pack_values_f32>};
}

struct Packed {
  at::Tensor keys, values;  // [B, H, tiles, of a tile]
  int64_t num_tiles;
  at::Tensor value_scale, value_mean;  // 8 bits only: f32 [B, H, whole width]
  static int64_t head_bytes(const at::Tensor& tiles) {
    return tiles.size(2) * tiles.size(3) * tiles.element_size();
  }
};

// Rows of a head lie far apart, which the processor does not foresee.
void fetch_rows(const char* rows, int64_t stride, int64_t count, int64_t bytes) {
  constexpr int64_t kLine = 64;
  for (int64_t row = 0; row < count; ++row) {
    for (int64_t line = 0; line < bytes; line += kLine)
      __builtin_prefetch(rows + row * stride + line);
  }
}

// Note [Attention in 8 bits].
Packed pack_int8(const at::Tensor& k_BSHK, const at::Tensor& v_BSHK, bool smooths_keys) {
  const int64_t batch = k_BSHK.size(0), length = k_BSHK.size(1), heads = k_BSHK.size(2),
                width = k_BSHK.size(3), whole = whole_width(width),
                tiles = ceil_div(length, kKeysInInt8Tile);
  const auto f32 = at::TensorOptions(at::kFloat);
  const Packed packed = {at::empty({batch, heads, tiles, int8_key_tile_bytes(width)}, at::kChar),
                         at::empty({batch, heads, tiles, kKeysInInt8Tile * whole}, at::kChar),
                         tiles, at::empty({batch, heads, whole}, f32),
                         at::empty({batch, heads, whole}, f32)};
  const at::Tensor key_mean = at::zeros({batch, heads, whole}, f32);
  const auto row = [](const at::Tensor& x, int64_t b, int64_t h, int64_t s) {
    return static_cast<const uint16_t*>(x.const_data_ptr()) + b * x.stride(0) + s * x.stride(1) +
           h * x.stride(2);
  };
  const auto numbers = [whole](const at::Tensor& x, int64_t head) {
    return x.mutable_data_ptr<float>() + head * whole;
  };
  share_tasks(batch * heads, [&](int64_t begin, int64_t end) {
    for (int64_t head = begin; head < end; ++head) {
      const int64_t b = head / heads, h = head % heads;
      if (smooths_keys)
        int8_means_avx512bf16(row(k_BSHK, b, h, 0), k_BSHK.stride(1), length, width,
                              numbers(key_mean, head));
      int8_means_avx512bf16(row(v_BSHK, b, h, 0), v_BSHK.stride(1), length, width,
                            numbers(packed.value_mean, head));
      int8_value_scales_avx512bf16(row(v_BSHK, b, h, 0), v_BSHK.stride(1), length, width,
                                   numbers(packed.value_mean, head),
                                   numbers(packed.value_scale, head));
    }
  });
  share_tasks(batch * heads * tiles, kTilesPackedTogether, [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; ++index) {
      const int64_t head = index / tiles, first = index % tiles * kKeysInInt8Tile;
      const int64_t b = head / heads, h = head % heads;
      const int64_t count = std::min(kKeysInInt8Tile, length - first);
      pack_keys_int8_avx512bf16(
          row(k_BSHK, b, h, first), k_BSHK.stride(1), count, width, numbers(key_mean, head),
          static_cast<char*>(packed.keys.data_ptr()) + index * packed.keys.size(3));
      pack_values_int8_avx512bf16(
          row(v_BSHK, b, h, first), v_BSHK.stride(1), count, width,
          numbers(packed.value_mean, head), numbers(packed.value_scale, head),
          static_cast<int8_t*>(packed.values.data_ptr()) + index * packed.values.size(3));
    }
  });
  return packed;
}

Packed pack(const at::Tensor& k_BSHK, const at::Tensor& v_BSHK, const AttentionForm& form) {
  const int64_t batch = k_BSHK.size(0), length = k_BSHK.size(1), heads = k_BSHK.size(2),
                width = k_BSHK.size(3), tiles = ceil_div(length, kKeysInTile),
                numbers = kKeysInTile * whole_width(width), bytes = k_BSHK.element_size();
  const Packed packed = {at::empty({batch, heads, tiles, numbers}, k_BSHK.options()),
                         at::empty({batch, heads, tiles, numbers}, v_BSHK.options()),
                         tiles,
                         {},
                         {}};
  const auto rows_of = [&](const at::Tensor& x, int64_t index) {
    const int64_t tile = index % tiles, b = index / tiles / heads, h = index / tiles % heads;
    return static_cast<const char*>(x.const_data_ptr()) +
           (b * x.stride(0) + tile * kKeysInTile * x.stride(1) + h * x.stride(2)) * bytes;
  };
  const auto count_of = [&](int64_t index) {
    return std::min(kKeysInTile, length - index % tiles * kKeysInTile);
  };
  const auto pack_one = [&](const at::Tensor& x, const at::Tensor& to, auto* pack_tile,
                            int64_t index) {
    pack_tile(rows_of(x, index), x.stride(1), count_of(index), width,
              static_cast<char*>(to.data_ptr()) + index * numbers * bytes);
  };
  share_tasks(batch * heads * tiles, kTilesPackedTogether, [&](int64_t begin, int64_t end) {
    for (int64_t index = begin; index < end; ++index) {
      for (const at::Tensor* x : {&k_BSHK, &v_BSHK}) {
        if (index + 1 < end)
          fetch_rows(rows_of(*x, index + 1), x->stride(1) * bytes, count_of(index + 1),
                     width * bytes);
      }
      pack_one(k_BSHK, packed.keys, form.pack_keys, index);
      pack_one(v_BSHK, packed.values, form.pack_values, index);
    }
  });
  return packed;
}

// What the keys of one batch item add to the logits, as seen from one row of the table.
class KeyBias {
 public:
  KeyBias(const AttentionTerms& terms, int64_t num_keys, int64_t num_tiles, int64_t keys_in_tile)
      : terms_(terms),
        bias_(terms.bias_BS.defined() ? terms.bias_BS.to(at::kFloat).contiguous() : at::Tensor()),
        table_(terms.table.defined() ? terms.table.values_RC.to(at::kCPU, at::kFloat).contiguous()
                                     : at::Tensor()),
        num_keys_(num_keys),
        num_tiles_(num_tiles),
        keys_in_tile_(keys_in_tile),
        last_bias_(static_cast<size_t>(keys_in_tile), 0.0F) {
    for (int64_t i = num_keys - (num_tiles - 1) * keys_in_tile; i < keys_in_tile; ++i)
      last_bias_[static_cast<size_t>(i)] = kMinusInfinity;
    if (!terms.num_keys_B.defined()) return;
    const at::Tensor visible = terms.num_keys_B.to(at::kCPU, at::kLong).contiguous();
    visible_.assign(visible.const_data_ptr<int64_t>(),
                    visible.const_data_ptr<int64_t>() + visible.numel());
  }

  bool is_needed() const { return bias_.defined() || table_.defined() || !visible_.empty(); }
  const float* last_bias() const {
    return num_keys_ % keys_in_tile_ == 0 ? nullptr : last_bias_.data();
  }

  // Writes the bias of every key in powers of two, and which tiles hold one that is not hidden.
  void write(int64_t b, int64_t row, std::vector<float>& bias, std::vector<int32_t>& tiles) const {
    const size_t item = static_cast<size_t>(b);
    bias.assign(static_cast<size_t>(num_tiles_ * keys_in_tile_), kMinusInfinity);
    const int64_t visible = visible_.empty()
                                ? num_keys_
                                : std::min(num_keys_, visible_[visible_.size() == 1 ? 0 : item]);
    const float* of_keys =
        bias_.defined() ? bias_.const_data_ptr<float>() + (bias_.size(0) == 1 ? 0 : b) * num_keys_
                        : nullptr;
    int64_t column = 0;
    for (int64_t s = 0; s < visible; ++s) {
      float sum = of_keys == nullptr ? 0.0F : of_keys[s];
      if (table_.defined()) {
        while (s >= terms_.table.column_ends[static_cast<size_t>(column)]) ++column;
        sum += table_.const_data_ptr<float>()[row * table_.size(1) + column];
      }
      bias[static_cast<size_t>(s)] = sum * static_cast<float>(M_LOG2E);
    }
    tiles.clear();
    for (int64_t tile = 0; tile < num_tiles_; ++tile) {
      const auto first = bias.begin() + tile * keys_in_tile_;
      const bool hidden = std::all_of(first, first + keys_in_tile_,
                                      [](float value) { return value == kMinusInfinity; });
      if (!hidden) tiles.push_back(static_cast<int32_t>(tile));
    }
  }

 private:
  const AttentionTerms& terms_;
  at::Tensor bias_, table_;
  int64_t num_keys_, num_tiles_, keys_in_tile_;
  std::vector<float> last_bias_;
  std::vector<int64_t> visible_;
};

// Ranges of queries that are computed together: of one row of the table, and not too many.
struct Range {
  int64_t begin, end, table_row;
};

std::vector<Range> ranges_of(int64_t length, const BiasTable& table) {
  const int64_t most = length >= kLong ? kRowsInLongGroup : kRowsInGroup;
  const std::vector<int64_t> whole = {length};
  const std::vector<int64_t>& ends = table.defined() ? table.row_ends : whole;
  std::vector<Range> ranges;
  int64_t begin = 0;
  for (size_t row = 0; row < ends.size(); ++row) {
    for (; begin < ends[row]; begin = ranges.back().end)
      ranges.push_back({begin, std::min(begin + most, ends[row]), static_cast<int64_t>(row)});
  }
  return ranges;
}

// `scaled_width`: what the logits are divided by the root of.
at::Tensor attend(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK, const AttentionTerms& terms,
                  const AttentionForm& form, const Packed& packed, int64_t scaled_width) {
  const int64_t batch = q_BLHK.size(0), length = q_BLHK.size(1), heads = q_BLHK.size(2),
                width = q_BLHK.size(3), bytes = q_BLHK.element_size();
  const KeyBias key_bias(terms, k_BSHK.size(1), packed.num_tiles, form.keys_in_tile);
  const at::Tensor out = at::empty({batch, length, heads, width}, q_BLHK.options());
  const std::vector<Range> ranges = ranges_of(length, terms.table);
  const int64_t num_ranges = static_cast<int64_t>(ranges.size());
  std::vector<int32_t> all_tiles(static_cast<size_t>(packed.num_tiles));
  for (size_t tile = 0; tile < all_tiles.size(); ++tile)
    all_tiles[tile] = static_cast<int32_t>(tile);

  AttentionGroup common = {};
  common.q_stride = q_BLHK.stride(1);
  common.out_stride = heads * width;
  common.width = width;
  common.tiles = all_tiles.data();
  common.num_tiles = packed.num_tiles;
  common.scale = static_cast<float>(M_LOG2E / std::sqrt(static_cast<double>(scaled_width)));
  common.last_tile = packed.num_tiles - 1;
  common.last_bias = key_bias.last_bias();
  common.scales_far = terms.far.factor != 1.0;
  common.window = terms.far.window;
  common.far_factor = static_cast<float>(terms.far.factor);
  const int64_t key_bytes = Packed::head_bytes(packed.keys),
                value_bytes = Packed::head_bytes(packed.values);

  share_tasks(batch * heads * num_ranges, [&](int64_t begin, int64_t end) {
    std::vector<float> bias;
    std::vector<int32_t> tiles;
    int64_t bias_of = -1;
    for (int64_t task = begin; task < end; ++task) {
      const Range& range = ranges[static_cast<size_t>(task % num_ranges)];
      const int64_t head = task / num_ranges, b = head / heads, h = head % heads;
      const int64_t key_head = (k_BSHK.size(0) == 1 ? 0 : b) * heads + h;
      AttentionGroup group = common;
      group.q =
          static_cast<const char*>(q_BLHK.const_data_ptr()) +
          (b * q_BLHK.stride(0) + range.begin * q_BLHK.stride(1) + h * q_BLHK.stride(2)) * bytes;
      group.out = static_cast<char*>(out.data_ptr()) +
                  ((b * length + range.begin) * heads + h) * width * bytes;
      group.num_rows = range.end - range.begin;
      group.first_token = range.begin;
      group.keys = static_cast<const char*>(packed.keys.const_data_ptr()) + key_head * key_bytes;
      group.values =
          static_cast<const char*>(packed.values.const_data_ptr()) + key_head * value_bytes;
      if (packed.value_scale.defined()) {
        const int64_t first = key_head * whole_width(width);
        group.value_scale = packed.value_scale.const_data_ptr<float>() + first;
        group.value_mean = packed.value_mean.const_data_ptr<float>() + first;
      }
      if (key_bias.is_needed()) {
        const int64_t wanted = b * num_ranges + range.table_row;
        if (bias_of != wanted) key_bias.write(b, range.table_row, bias, tiles);
        bias_of = wanted;
        group.bias = bias.data();
        group.tiles = tiles.data();
        group.num_tiles = static_cast<int64_t>(tiles.size());
      }
      form.attend(group, scratch_memory(form.scratch_bytes(group.num_rows, width)));
    }
  });
  return out;
}
}  // namespace

bool fits_flash_attention(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK,
                          const at::Tensor& v_BSHK) {
  const at::ScalarType dtype = q_BLHK.scalar_type();
  const auto fits = [dtype](const at::Tensor& x) {
    return x.is_cpu() && x.stride(3) == 1 && x.scalar_type() == dtype;
  };
  const int64_t width = q_BLHK.size(3);
  return (dtype == at::kBFloat16 || dtype == at::kFloat) && fits(q_BLHK) && fits(k_BSHK) &&
         fits(v_BSHK) && width > 0 && width <= kMostWidth && k_BSHK.size(1) > 0;
}

at::Tensor flash_attention(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK,
                           const at::Tensor& v_BSHK, const AttentionTerms& terms,
                           Processor processor) {
  const at::ScalarType dtype = q_BLHK.scalar_type();
  if (dtype == at::kBFloat16 && processor == Processor::Plain) {
    return flash_attention(q_BLHK.to(at::kFloat), k_BSHK.to(at::kFloat), v_BSHK.to(at::kFloat),
                           terms, processor)
        .to(dtype);
  }
  if (terms.table.defined()) terms.table.check(q_BLHK.size(1), k_BSHK.size(1));
  const AttentionForm form = dtype == at::kBFloat16 ? bf16_form(processor) : f32_form(processor);
  const int64_t width = q_BLHK.size(3), more = ceil_div(width, kWidthStep) * kWidthStep - width;
  if (more == 0) return attend(q_BLHK, k_BSHK, terms, form, pack(k_BSHK, v_BSHK, form), width);
  const auto padded = [more](const at::Tensor& x) { return at::constant_pad_nd(x, {0, more}); };
  const at::Tensor k = padded(k_BSHK);
  return attend(padded(q_BLHK), k, terms, form, pack(k, padded(v_BSHK), form), width)
      .narrow(3, 0, width)
      .contiguous();
}

at::Tensor flash_attention_int8(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK,
                                const at::Tensor& v_BSHK, const AttentionTerms& terms) {
  if (terms.table.defined()) terms.table.check(q_BLHK.size(1), k_BSHK.size(1));
  const AttentionForm form = {attention_scratch_int8_avx512bf16, attend_int8_avx512bf16,
                              kKeysInInt8Tile, nullptr, nullptr};
  // Far scaling asks for the sign of a product, which smoothing would change.
  return attend(q_BLHK, k_BSHK, terms, form,
                pack_int8(k_BSHK, v_BSHK, /*smooths_keys=*/terms.far.factor == 1.0),
                q_BLHK.size(3));
}

}  // namespace sora::kernels::cpu
