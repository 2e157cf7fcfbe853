#include "lib/provenance/watermark_frames.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstdlib>

namespace sora {
namespace {

constexpr int64_t kComponents = 2;
// Pixels a side that are looked at as one: the pattern's waves are longer.
constexpr int64_t kPool = 2;
constexpr int64_t kLeastFrames = 9;

}  // namespace

std::vector<std::vector<float>> frame_weights(const std::vector<at::Tensor>& details_HW) {
  const auto num_frames = static_cast<int64_t>(details_HW.size());
  std::vector<std::vector<float>> sets = {std::vector<float>(details_HW.size(), 1.0f)};
  if (num_frames < kLeastFrames) return sets;
  std::vector<at::Tensor> rows;
  for (const at::Tensor& frame : details_HW)
    rows.push_back(at::avg_pool2d(frame.to(at::kFloat).unsqueeze(0), {kPool, kPool}).flatten());
  at::Tensor pixels = at::stack(rows);  // [T, pixels]
  pixels -= pixels.mean(0, /*keepdim=*/true);
  const auto [values, vectors] = at::linalg_eigh(at::matmul(pixels, pixels.t()));  // ascending
  for (int64_t k = 1; k <= kComponents; ++k) {
    const at::Tensor component = vectors.select(1, num_frames - k).contiguous();
    const auto* first = component.const_data_ptr<float>();
    sets.emplace_back(first, first + num_frames);
  }
  return sets;
}

}  // namespace sora
