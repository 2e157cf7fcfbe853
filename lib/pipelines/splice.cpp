// Half-open ranges of frames, intersected.
#include "lib/pipelines/splice.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace sora {

void splice_known(const Canvas& canvas, int64_t start, at::Tensor& frames_FHWC) {
  const int64_t stop = start + frames_FHWC.size(0);
  for (const Canvas::Known& known : canvas.known()) {
    const int64_t from = std::max(start, known.start);
    const int64_t to = std::min(stop, known.stop());
    if (from >= to) continue;
    frames_FHWC.slice(0, from - start, to - start).copy_(known.frames_FHWC.slice(0, from - known.start, to - known.start));
  }
}

}  // namespace sora
