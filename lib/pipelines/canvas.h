// The output's timeline at the model's frame rate: which frames are known, and which text holds. Every operation makes
// one; nothing after it knows which operation it came from.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "lib/pipelines/request.h"

namespace sora {

// F frames, H height, W width
class Canvas {
 public:
  struct Known {
    int64_t start;             // frame
    at::Tensor frames_FHWC;    // u8 RGB, of the canvas' size
    int64_t stop() const { return start + frames_FHWC.size(0); }
  };

  // `size` lies on the model's pixel grid, `num_frames` is 4n+1.
  Canvas(Size size, int64_t num_frames, std::string prompt);

  // Frames [start, start + F) are these. Throws Error(Internal) outside the canvas or over other known frames.
  void keep(const at::Tensor& frames_FHWC, int64_t start);

  // A picture the user gave, at its own size, for models whose image encoder looks at it; in order of time.
  void show(const at::Tensor& picture_HWC) { pictures_.push_back(picture_HWC); }

  Size size() const { return size_; }
  int64_t num_frames() const { return num_frames_; }
  const std::string& prompt() const { return prompt_; }
  const std::vector<Known>& known() const { return known_; }
  const std::vector<at::Tensor>& pictures() const { return pictures_; }
  bool is_free() const { return known_.empty(); }

  at::Tensor known_mask() const;  // [num_frames] f32: 1 known, 0 free

  // One line a segment, for --dry-run: "frames 0-1 known", "frames 1-33 free: a red ball".
  std::vector<std::string> describe() const;

 private:
  Size size_;
  int64_t num_frames_;
  std::string prompt_;
  std::vector<Known> known_;  // by start
  std::vector<at::Tensor> pictures_;
};

}  // namespace sora
