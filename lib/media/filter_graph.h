// A libavfilter graph: frames in at numbered inputs, frames out at one end.
#pragma once

#include <string>
#include <vector>

#include "lib/media/ffmpeg.h"

namespace sora {

struct FilterInput {
  int width = 0;
  int height = 0;
  AVPixelFormat pixel_format = AV_PIX_FMT_NONE;
  Rational fps;  // frames are stamped in units of 1 / fps
};

class FilterGraph {
 public:
  // `description` is libavfilter's own language; inputs are [in0], [in1], ...
  // Throws Error(NotFound) where this FFmpeg lacks a filter.
  FilterGraph(const std::vector<FilterInput>& inputs, const std::string& description);

  void push(size_t input, av::Frame frame);
  void close(size_t input);  // no more frames will come there
  // The next finished frame, or null until more is pushed and after the end.
  av::Frame pull();

 private:
  av::FilterGraph graph_;
  std::vector<AVFilterContext*> sources_;
  AVFilterContext* sink_ = nullptr;
};

}  // namespace sora
