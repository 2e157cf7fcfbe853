// What a LoRA file changes in a model's tensors: products of two small matrices (arXiv 2106.09685),
// and whole differences.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>
#include <vector>

namespace sora {

// Adds scale * up down to a weight [N, K].
struct LowRank {
  at::Tensor down_RK;
  at::Tensor up_NR;
  double scale;
};

// Adds scale * values to a tensor.
struct Difference {
  at::Tensor values;
  double scale;
};

struct TensorChange {
  std::vector<LowRank> low_rank;
  std::vector<Difference> differences;
};

// By the tensor's name in the model.
using TensorChanges = std::map<std::string, TensorChange>;

}  // namespace sora
