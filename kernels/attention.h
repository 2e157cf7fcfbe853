// out = softmax(logits) v for each head, where query l and key s have
//   logit = f(l, s) q[l] k[s] / sqrt(K) + bias[s] + table[row(l)][column(s)].
//
// q [B, L, H, K], k and v [B, S, H, K], f32|bf16, any strides with the last dimension dense; a
// batch of 1 in k, v and what belongs to keys serves all of q's. Returns [B, L, H, K] contiguous.
// Sums and softmax in f32; probabilities are rounded to q's type. An infinite bias hides a key; a
// query that sees no key gets NaN. What is hidden has finite numbers: its probability, 0, is
// multiplied with them. On the CPU the same bytes at any number of threads.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace sora::kernels {

// A bias for each row of queries and column of keys (say, a frame and a part of a text), which are
// ranges that lie one after the other: row r holds the queries from row_ends[r - 1] to
// row_ends[r], the last end being L; columns likewise, up to S.
struct BiasTable {
  at::Tensor values_RC;  // f32
  std::vector<int64_t> row_ends, column_ends;
  bool defined() const { return values_RC.defined(); }
  // Throws c10::Error unless the ranges cover the queries and keys and each pair has a value.
  void check(int64_t queries, int64_t keys) const;
};

// The number of the range that each of `total` positions lies in, [total] i64.
at::Tensor range_numbers(const std::vector<int64_t>& ends, int64_t total, at::Device device);

// f(l, s) = factor where |l - s| > window and the product is positive, else 1: attention to what is
// farther away than a model was trained for, toned down (UltraViCo, arXiv 2511.20123).
struct FarScale {
  int64_t window = 0;
  double factor = 1.0;
};

struct AttentionTerms {
  at::Tensor bias_BS;     // f32, of each key
  at::Tensor num_keys_B;  // int64: keys from this number on are hidden
  BiasTable table;
  FarScale far;
  bool empty() const { return !bias_BS.defined() && !has_more_than_bias(); }
  bool has_more_than_bias() const {
    return num_keys_B.defined() || table.defined() || far.factor != 1.0;
  }
};

// Whose form of it is run. This project's kernel for GPUs is taken where Own asks for it, until it
// has run on one; where it does not fit, is built for other GPUs, or more is asked than libtorch's
// has, another form takes its place.
enum class AttentionKernel {
  Auto,   // on the CPU this project's, on a GPU libtorch's
  Torch,  // libtorch's scaled_dot_product_attention
  Own,
};

at::Tensor attention(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK, const at::Tensor& v_BSHK,
                     const AttentionTerms& terms = {},
                     AttentionKernel kernel = AttentionKernel::Auto);

namespace reference {
at::Tensor attention(const at::Tensor& q_BLHK, const at::Tensor& k_BSHK, const at::Tensor& v_BSHK,
                     const AttentionTerms& terms);
}  // namespace reference

}  // namespace sora::kernels
