// Whole numbers rounded up.
#pragma once

#include <cstdint>

namespace sora::kernels::cpu {

// a / b rounded up; a not negative, b positive.
constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace sora::kernels::cpu
