// A decoded frame of any pixel format to RGB bytes: its own matrix, range, depth and chroma
// position by zimg, alpha over black. What zimg cannot read (palettes, interleaved and packed
// forms) is first laid out in planes by swscale, which changes no value.
#pragma once

#include <cstdint>
#include <memory>

#include "lib/media/ffmpeg.h"
#include "lib/media/planes.h"

namespace sora {

class FrameToRgb {
 public:
  // `untagged_matrix` is for frames that name none; 0: guess_matrix() of their size.
  explicit FrameToRgb(int untagged_matrix = 0) : untagged_matrix_(untagged_matrix) {}

  // Writes frame.height * frame.width * 3 bytes. Frames may change format from call to call. Throws
  // Error(Input) for a pixel format that cannot be shown, Error(Memory).
  void operator()(const AVFrame& frame, uint8_t* rgb_HWC);

 private:
  const AVFrame& lay_out_in_planes(const AVFrame& frame);
  PlaneFormat format_of(const AVFrame& frame) const;

  int untagged_matrix_;
  av::Frame planar_frame_;
  av::Sws sws_;
  PlaneFormat source_format_;  // what source_ and converter_ are for
  std::unique_ptr<Planes> source_, rgb_;
  std::unique_ptr<PlaneConverter> converter_;
};

}  // namespace sora
