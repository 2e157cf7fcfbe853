#include "kernels/cpu/flash_attention.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <ATen/native/CPUBlas.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "kernels/cpu/flash_rows.h"

namespace sora::kernels::cpu {
namespace {

constexpr int64_t kQueryBlock = 64;
constexpr int64_t kKeyBlock =
    512;  // logits, probabilities, keys and values of a block stay in the second-level cache
constexpr int64_t kKeyUnit = 16;
constexpr float kMinusInfinity = -std::numeric_limits<float>::infinity();

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
uint16_t* bits(const at::Tensor& x) { return static_cast<uint16_t*>(x.data_ptr()); }

// The keys of a sequence in blocks, the last one padded.
struct KeyBlocks {
  explicit KeyBlocks(int64_t keys) : count(keys), padded(ceil_div(keys, kKeyUnit) * kKeyUnit) {}
  int64_t num_blocks() const { return ceil_div(padded, kKeyBlock); }
  int64_t first(int64_t block) const { return block * kKeyBlock; }
  int64_t length(int64_t block) const {
    return std::min(kKeyBlock, padded - first(block));
  }  // with padding
  int64_t real(int64_t block) const { return std::min(length(block), count - first(block)); }
  bool is_padded(int64_t block) const { return real(block) < length(block); }
  int64_t count, padded;
};

// [B, H, padded, K] each, every block in the order that brgemm reads.
struct PackedKeys {
  at::Tensor keys, values;
};

PackedKeys pack(const at::Tensor& k_BSHK, const at::Tensor& v_BSHK, const KeyBlocks& blocks) {
  const int64_t batch = k_BSHK.size(0), heads = k_BSHK.size(2), width = k_BSHK.size(3);
  const PackedKeys packed = {at::empty({batch, heads, blocks.padded, width}, k_BSHK.options()),
                             at::empty({batch, heads, blocks.padded, width}, v_BSHK.options())};
  at::parallel_for(0, batch * heads * blocks.num_blocks(), 1, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t block = task % blocks.num_blocks(), head = task / blocks.num_blocks();
      const int64_t b = head / heads, h = head % heads, s = blocks.first(block);
      const int64_t to = (head * blocks.padded + s) * width;
      pack_keys_avx512bf16(
          bits(k_BSHK) + b * k_BSHK.stride(0) + s * k_BSHK.stride(1) + h * k_BSHK.stride(2),
          k_BSHK.stride(1), blocks.real(block), width, blocks.length(block),
          bits(packed.keys) + to);
      pack_values_avx512bf16(
          bits(v_BSHK) + b * v_BSHK.stride(0) + s * v_BSHK.stride(1) + h * v_BSHK.stride(2),
          v_BSHK.stride(1), blocks.real(block), width, blocks.length(block),
          bits(packed.values) + to);
    }
  });
  return packed;
}

// [B or 1, padded] f32 in powers of two, -inf where there is no key.
at::Tensor padded_bias(const at::Tensor& bias_BS, const KeyBlocks& blocks) {
  const at::Tensor bias =
      bias_BS.defined() ? bias_BS.to(at::kFloat) * M_LOG2E : at::zeros({1, blocks.count});
  return at::constant_pad_nd(bias, {0, blocks.padded - blocks.count}, kMinusInfinity).contiguous();
}

// What a thread needs for a block of queries.
struct Scratch {
  explicit Scratch(int64_t width)
      : logits(kQueryBlock * kKeyBlock),
        probabilities(kQueryBlock * kKeyBlock),
        sums(static_cast<size_t>(kQueryBlock * width)),
        softmax(kQueryBlock) {}
  std::vector<float> logits;
  std::vector<at::BFloat16> probabilities;
  std::vector<float> sums;
  std::vector<RunningSoftmax> softmax;
};

// All the keys of one head.
struct Keys {
  const at::BFloat16 *keys, *values;
  const float* bias;     // [padded]
  bool bias_of_padding;  // zero but for the padding
};

// One block of queries of one head. q and out point to its first row.
struct Queries {
  const at::BFloat16* q;
  int64_t q_stride;
  uint16_t* out;
  int64_t out_stride;
  int64_t count;
};

void attend(const Queries& queries, const KeyBlocks& blocks, const Keys& keys, int64_t width,
            float scale, Scratch& scratch) {
  using at::native::cpublas::brgemm;
  std::fill(scratch.softmax.begin(), scratch.softmax.end(), RunningSoftmax{kMinusInfinity, 0.0F});
  for (int64_t block = 0; block < blocks.num_blocks(); ++block) {
    const int64_t length = blocks.length(block), first = blocks.first(block);
    brgemm(queries.count, length, width, queries.q_stride, length, length, /*add_C=*/false,
           queries.q, keys.keys + first * width, scratch.logits.data());
    const float* bias =
        keys.bias_of_padding && !blocks.is_padded(block) ? nullptr : keys.bias + first;
    for (int64_t row = 0; row < queries.count; ++row) {
      const float earlier = soften_row_avx512bf16(
          scratch.logits.data() + row * length, scale, bias, length,
          scratch.softmax[static_cast<size_t>(row)],
          reinterpret_cast<uint16_t*>(scratch.probabilities.data()) + row * length);
      if (block > 0 && earlier != 1.0F)
        scale_row_avx512bf16(scratch.sums.data() + row * width, earlier, width);
    }
    brgemm(queries.count, width, length, length, width, width, /*add_C=*/block > 0,
           scratch.probabilities.data(), keys.values + first * width, scratch.sums.data());
  }
  for (int64_t row = 0; row < queries.count; ++row) {
    scaled_row_to_bf16_avx512bf16(scratch.sums.data() + row * width,
                                  1.0F / scratch.softmax[static_cast<size_t>(row)].sum, width,
                                  queries.out + row * queries.out_stride);
  }
}

}  // namespace

bool fits_flash_attention(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK,
                          const at::Tensor& v_BSHK) {
  static const bool processor =
      __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw");
  const auto fits = [](const at::Tensor& x) {
    return x.is_cpu() && x.scalar_type() == at::kBFloat16 && x.stride(3) == 1;
  };
  return processor && fits(q_BLHK) && fits(k_BSHK) && fits(v_BSHK) && q_BLHK.size(3) % 2 == 0 &&
         k_BSHK.size(1) > 0;
}

at::Tensor flash_attention(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK,
                           const at::Tensor& v_BSHK, const at::Tensor& bias_BS) {
  const int64_t batch = q_BLHK.size(0), length = q_BLHK.size(1), heads = q_BLHK.size(2),
                width = q_BLHK.size(3);
  const KeyBlocks blocks(k_BSHK.size(1));
  const PackedKeys packed = pack(k_BSHK, v_BSHK, blocks);
  const at::Tensor bias = padded_bias(bias_BS, blocks);
  const at::Tensor out = at::empty({batch, length, heads, width}, q_BLHK.options());
  const float scale = static_cast<float>(M_LOG2E / std::sqrt(static_cast<double>(width)));
  const int64_t query_blocks = ceil_div(length, kQueryBlock);

  at::parallel_for(0, batch * heads * query_blocks, 1, [&](int64_t begin, int64_t end) {
    Scratch scratch(width);
    for (int64_t task = begin; task < end; ++task) {
      const int64_t first = task % query_blocks * kQueryBlock, head = task / query_blocks;
      const int64_t b = head / heads, h = head % heads;
      const int64_t key_head = (k_BSHK.size(0) == 1 ? 0 : b) * heads + h;
      const Queries queries = {q_BLHK.const_data_ptr<at::BFloat16>() + b * q_BLHK.stride(0) +
                                   first * q_BLHK.stride(1) + h * q_BLHK.stride(2),
                               q_BLHK.stride(1),
                               bits(out) + ((b * length + first) * heads + h) * width,
                               heads * width, std::min(kQueryBlock, length - first)};
      const Keys keys = {
          packed.keys.const_data_ptr<at::BFloat16>() + key_head * blocks.padded * width,
          packed.values.const_data_ptr<at::BFloat16>() + key_head * blocks.padded * width,
          bias.const_data_ptr<float>() + (bias.size(0) == 1 ? 0 : b) * blocks.padded,
          !bias_BS.defined()};
      attend(queries, blocks, keys, width, scale, scratch);
    }
    at::native::cpublas::brgemm_release();
  });
  return out;
}

}  // namespace sora::kernels::cpu
