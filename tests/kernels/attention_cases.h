// Shapes that attention is tested at: tails of tiles, single queries and keys, every head width's
// remainder.
#pragma once

#include <ATen/ATen.h>

#include <vector>

namespace sora::kernels {

struct AttentionCase {
  int64_t batch, queries, keys, heads, head_width;
  at::ScalarType dtype;
};

inline std::vector<AttentionCase> attention_cases() {
  std::vector<AttentionCase> cases;
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const AttentionCase& shape :
         {AttentionCase{1, 1, 1, 1, 2, dtype}, AttentionCase{1, 1, 1, 1, 16, dtype},
          AttentionCase{2, 9, 5, 3, 14, dtype}, AttentionCase{1, 130, 33, 5, 16, dtype},
          AttentionCase{1, 1, 300, 2, 32, dtype}, AttentionCase{1, 97, 290, 2, 48, dtype},
          AttentionCase{2, 64, 512, 4, 64, dtype}, AttentionCase{1, 777, 777, 2, 64, dtype},
          AttentionCase{1, 50, 257, 1, 80, dtype}, AttentionCase{1, 200, 64, 2, 96, dtype},
          AttentionCase{1, 1000, 48, 3, 128, dtype}, AttentionCase{1, 150, 200, 1, 128, dtype},
          AttentionCase{1, 33, 600, 1, 240, dtype}, AttentionCase{1, 70, 95, 1, 256, dtype}}) {
      cases.push_back(shape);
    }
  }
  return cases;
}

// More tiles than a GPU has multiprocessors, so that a kernel that stays on each of them takes
// several; for GPUs alone.
inline std::vector<AttentionCase> large_attention_cases() {
  return {{2, 2100, 700, 12, 128, at::kBFloat16}, {1, 5000, 260, 12, 64, at::kBFloat16}};
}

}  // namespace sora::kernels
