// The row-wise kernels on one row of D numbers in memory. Each is one pass over the row, with the
// arithmetic of the op's header. `scratch` holds D floats. bf16 numbers are their 16 bits.
#pragma once

#include <cstdint>

namespace sora::kernels::cpu {

void rms_norm_row(float* x, const float* weight, int64_t width, float eps, float* scratch);
void rms_norm_row(uint16_t* x, const float* weight, int64_t width, float eps, float* scratch);

// cos, sin: `pairs` numbers, for each of the width / (2 * pairs) heads.
void rms_norm_rotate_row(float* x, const float* weight, int64_t width, float eps, const float* cos,
                         const float* sin, int64_t pairs, float* scratch);
void rms_norm_rotate_row(uint16_t* x, const float* weight, int64_t width, float eps,
                         const float* cos, const float* sin, int64_t pairs, float* scratch);

void layer_norm_row(const float* x, const float* weight, const float* bias, int64_t width,
                    float eps, float* y, float* scratch);
void layer_norm_row(const float* x, const float* weight, const float* bias, int64_t width,
                    float eps, uint16_t* y, float* scratch);
void layer_norm_row(const uint16_t* x, const float* weight, const float* bias, int64_t width,
                    float eps, float* y, float* scratch);
void layer_norm_row(const uint16_t* x, const float* weight, const float* bias, int64_t width,
                    float eps, uint16_t* y, float* scratch);

void gated_residual_row(float* x, const float* y, const float* gate, int64_t width);
void gated_residual_row(float* x, const uint16_t* y, const float* gate, int64_t width);
void gated_residual_row(uint16_t* x, const float* y, const float* gate, int64_t width);
void gated_residual_row(uint16_t* x, const uint16_t* y, const float* gate, int64_t width);

}  // namespace sora::kernels::cpu
