// Finds the watermark's pattern in a picture that was scaled and cut: the pilot is correlated at
// every offset, for one supposed scale after another.
#pragma once

#include <ATen/core/Tensor.h>

#include <complex>
#include <vector>

#include "lib/provenance/watermark_pattern.h"

namespace sora {

// Pixels of the picture as it was marked to one pixel now.
struct WatermarkScale {
  double x = 1;
  double y = 1;
};

// How well the pilot fits at one scale, at its best offset.
struct PilotFit {
  WatermarkScale scale;
  double offset_x = 0;  // in pixels of the tile
  double offset_y = 0;
  float sign = 1;   // of the pattern in the sum of frames
  double peak = 0;  // of the correlation, in its standard deviations over all offsets
};

class WatermarkSearch {
 public:
  static constexpr size_t kFits = 6;  // that search() returns

  // `details_HW` int8 of each frame, all of one size, mean about 0; frames are added up by
  // `weights`, one a frame (watermark_frames.h). All 1: values() weighs them anew.
  WatermarkSearch(const WatermarkPattern& pattern, const std::vector<at::Tensor>& details_HW,
                  std::vector<float> weights);

  // Of the whole picture at one scale, all frames alike.
  PilotFit fit(const WatermarkScale& scale) const { return fit(sum_HW_, scale); }
  // The kFits best fits over all scales from about 0.4 to 2.5, each at its best scale near by; the
  // best first.
  std::vector<PilotFit> search() const;
  // The soft values of the codeword's bits. Frames count by how well the pilot is seen in them at
  // `fit`, chips by how well pilots of their radius are.
  std::vector<float> values(const PilotFit& fit) const;

 private:
  using Coefficients = std::vector<std::complex<float>>;  // of the pattern's bins

  PilotFit fit(const at::Tensor& details_HW, const WatermarkScale& scale) const;
  PilotFit fit(const Coefficients& whitened, const WatermarkScale& scale) const;
  Coefficients weighted_by_pilot(const PilotFit& fit) const;
  bool weighs_alike() const;
  PilotFit refine(const at::Tensor& details_HW, PilotFit best) const;
  at::Tensor middle(int64_t side) const;
  Coefficients coefficients(const at::Tensor& details_HW, const WatermarkScale& scale) const;
  double agreement(const Coefficients& whitened, const PilotFit& fit) const;

  const WatermarkPattern& pattern_;
  const std::vector<at::Tensor>& details_HW_;
  std::vector<float> weights_;
  at::Tensor sum_HW_;  // f32
};

}  // namespace sora
