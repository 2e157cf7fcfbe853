// Informed embedding: how strong each chip of the watermark has to be, given what the picture
// itself puts there. Chips that lie the right way by themselves cost nothing, and what they leave
// goes to those that lie the wrong way (Miller, Doerr and Cox, "Applying informed coding and
// embedding to design a robust high-capacity watermark", 2004).
//
// Under a picture that stands still or moves slowly the pattern changes its sign from plan to plan
// instead, all chips alike: the detector's differences of frames, or of frames and their mosaic,
// hold nothing of the picture.
#pragma once

#include <complex>
#include <vector>

#include "lib/provenance/luma_details.h"
#include "lib/provenance/watermark_code.h"
#include "lib/provenance/watermark_pattern.h"

namespace sora {

class WatermarkPlan {
 public:
  WatermarkPlan(WatermarkPattern pattern, const WatermarkCodeword& codeword);

  // Takes in a frame and plans the tile for the frames that follow. `luma` 0 to 255; `strength` of
  // its size, by which the tile is multiplied at each pixel before it is scaled to a mean square of
  // `power`. The picture's part is averaged over the frames taken in, the latest counting most, as
  // the detector adds up frames.
  void look_at(const Plane& luma, const Plane& strength, double power);

  // [kWatermarkTile * kWatermarkTile] in rows, mean 0 and mean square 1.
  const std::vector<float>& tile() const { return tile_; }

  // Whether the tile has the sign opposite to that of the plan before: the picture hardly moves,
  // and cancels in the difference.
  bool turns() const { return turns_sign_; }

 private:
  static constexpr double kUnknownStillness = 0.7;  // of a single frame

  using Coefficients = std::vector<std::complex<float>>;  // of the pattern's bins

  void place(const Coefficients& host);
  Coefficients amplitudes(double response) const;
  Coefficients even_amplitudes() const;  // all chips alike, of sign_

  WatermarkPattern pattern_;
  Coefficients signs_;         // of the pattern where it was placed: turned by the offset
  Coefficients turns_;         // by which coefficients are turned back to offset 0
  std::vector<float> passed_;  // of each bin's amplitude by the detector's means
  Coefficients host_;
  float weight_ = 0;  // of the frames in host_
  // How much of host_ to expect in the frames that follow: what moves averages out by itself.
  double stillness_ = kUnknownStillness;
  float sign_ = 1;  // of the tile
  bool turns_sign_ = false;
  NormalisedDetails details_{Plane(0, 0), Plane(0, 0), Plane(0, 0)};
  std::vector<float> tile_;
};

}  // namespace sora
