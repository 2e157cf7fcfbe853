// The watermark that people see: "AI GENERATED" in the bottom right corner, light letters with a
// dark rim, so that it can be read on any ground.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

namespace sora {

class VisibleMark {
 public:
  // Letters are a thirtieth of the shorter side high, at least 7 pixels. A frame that is too small
  // for the words gets "AI", one too small for that none.
  VisibleMark(int64_t width, int64_t height);

  // uint8 [F,H,W,3] of that size on the CPU; a new tensor of marked frames.
  at::Tensor operator()(const at::Tensor& frames_FHWC) const;

  // Pixels from the frame's left and top that the mark begins at, and its size; 0 wide where there
  // is none.
  int64_t left() const { return left_; }
  int64_t top() const { return top_; }
  int64_t width() const { return width_; }
  int64_t height() const { return height_; }

 private:
  int64_t left_ = 0, top_ = 0, width_ = 0, height_ = 0;
  std::vector<float> light_;  // opacity of white, [height_, width_]
  std::vector<float> dark_;   // of black, under it
};

}  // namespace sora
