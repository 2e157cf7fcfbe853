// The steps of flash_attention.h between the matrix products. Numbers in bf16 are their 16 bits.
#pragma once

#include <cstdint>

namespace sora::kernels::cpu {

// Keys [count rows of `width`, `stride` numbers apart] as the right side of q k^T:
// [width/2][padded][2], rows from `count` to `padded` (a multiple of 16) zero.
void pack_keys_avx512bf16(const uint16_t* keys, int64_t stride, int64_t count, int64_t width,
                          int64_t padded, uint16_t* packed);

// Values likewise as the right side of a product with probabilities: [padded/2][width][2].
void pack_values_avx512bf16(const uint16_t* values, int64_t stride, int64_t count, int64_t width,
                            int64_t padded, uint16_t* packed);

// What is known of a query's softmax after some of the keys, in powers of two.
struct RunningSoftmax {
  float max, sum;
};

// Takes in the next `count` (a multiple of 16) logits, logit i being scores[i] * scale + bias[i]:
// probabilities are 2^(logit - max), rounded to bf16, of which `sum` is made as well. Returns what
// all earlier probabilities are to be multiplied with.
float soften_row_avx512bf16(const float* scores, float scale, const float* bias, int64_t count,
                            RunningSoftmax& state, uint16_t* probabilities);

void scale_row_avx512bf16(float* x, float factor, int64_t width);
void scaled_row_to_bf16_avx512bf16(const float* x, float factor, int64_t width, uint16_t* y);

}  // namespace sora::kernels::cpu
