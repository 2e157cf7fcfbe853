// A whole clip in memory, for tests.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <string>
#include <vector>

#include "lib/core/rational.h"
#include "lib/media/video_reader.h"

namespace sora {

// F frames, H height, W width.
struct Clip {
  at::Tensor frames_FHWC;  // uint8, contiguous
  Rational fps;

  int64_t num_frames() const { return frames_FHWC.size(0); }
  int64_t height() const { return frames_FHWC.size(1); }
  int64_t width() const { return frames_FHWC.size(2); }
};

// Throws as VideoReader does.
inline Clip read_clip(const std::string& path, const ReadOptions& options = {}) {
  constexpr int64_t kChunk = 16;
  VideoReader reader(path, options);
  std::vector<at::Tensor> chunks = {reader.read(kChunk)};
  while (chunks.back().size(0) > 0) chunks.push_back(reader.read(kChunk));
  return {at::cat(chunks), reader.fps()};
}

}  // namespace sora
