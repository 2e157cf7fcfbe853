// Known stretches are kept sorted and never overlap, so that masks and splices need no further rule.
#include "lib/pipelines/canvas.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "lib/core/error.h"

namespace sora {

Canvas::Canvas(Size size, int64_t num_frames, std::string prompt)
    : size_(size), num_frames_(num_frames), prompt_(std::move(prompt)) {}

void Canvas::keep(const at::Tensor& frames_FHWC, int64_t start) {
  const Known added{start, frames_FHWC};
  if (start < 0 || added.stop() > num_frames_) {
    fail(ErrorKind::Internal, "frames {} to {} lie outside the canvas of {}", start, added.stop(), num_frames_);
  }
  for (const Known& known : known_) {
    if (start < known.stop() && known.start < added.stop()) {
      fail(ErrorKind::Internal, "frames {} to {} are known twice", std::max(start, known.start),
           std::min(added.stop(), known.stop()));
    }
  }
  known_.push_back(added);
  std::sort(known_.begin(), known_.end(), [](const Known& a, const Known& b) { return a.start < b.start; });
}

at::Tensor Canvas::known_mask() const {
  at::Tensor mask = at::zeros({num_frames_}, at::kFloat);
  for (const Known& known : known_) mask.slice(0, known.start, known.stop()).fill_(1.0);
  return mask;
}

std::vector<std::string> Canvas::describe() const {
  std::vector<std::string> lines;
  int64_t next = 0;
  const auto say_free = [&](int64_t stop) {
    if (next < stop) lines.push_back(fmt::format("frames {}-{} free: {}", next, stop, prompt_));
  };
  for (const Known& known : known_) {
    say_free(known.start);
    lines.push_back(fmt::format("frames {}-{} known", known.start, known.stop()));
    next = known.stop();
  }
  say_free(num_frames_);
  return lines;
}

}  // namespace sora
