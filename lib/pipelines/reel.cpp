// One tensor a frame, so that what is no longer needed can go frame by frame.
#include "lib/pipelines/reel.h"

#include <ATen/ATen.h>

#include "lib/core/error.h"

namespace sora {

void Reel::put(int64_t frame, const at::Tensor& frame_HWC) { frames_[frame] = frame_HWC.clone(); }

at::Tensor Reel::read(Stretch frames) const {
  std::vector<at::Tensor> read;
  for (int64_t frame = frames.start; frame < frames.stop; ++frame) {
    const auto found = frames_.find(frame);
    if (found == frames_.end()) fail(ErrorKind::Internal, "frame {} was not drawn", frame);
    read.push_back(found->second);
  }
  return at::stack(read);
}

std::vector<Stretch> Reel::stretches(Stretch frames) const {
  std::vector<Stretch> found;
  for (auto at = frames_.lower_bound(frames.start); at != frames_.end() && at->first < frames.stop;
       ++at) {
    if (!found.empty() && found.back().stop == at->first) {
      ++found.back().stop;
    } else {
      found.push_back({at->first, at->first + 1});
    }
  }
  return found;
}

}  // namespace sora
