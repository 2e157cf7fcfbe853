// New frames between given ones along estimated motion, by libavfilter's minterpolate.
#pragma once

#include <ATen/ATen.h>

#include <deque>
#include <memory>
#include <utility>

#include "lib/media/filter_graph.h"
#include "lib/media/frame_to_rgb.h"
#include "lib/media/planes.h"

namespace sora {

class MotionInterpolator {
 public:
  MotionInterpolator(int64_t width, int64_t height, Rational from, Rational to);

  // One frame [H,W,3] after the other.
  void push(const at::Tensor& frame_HWC);
  // After the last frame.
  void finish();
  // The next output frame and its number on the output's timeline, numbers rising by one from 0; an
  // undefined tensor when more frames must be pushed first.
  std::pair<int64_t, at::Tensor> pull();

 private:
  void feed(const at::Tensor& frame_HWC);

  int64_t width_, height_;
  Planes rgb_;
  PlaneConverter to_yuv_;
  FrameToRgb to_rgb_;
  FilterGraph graph_;
  int64_t next_pts_;
  at::Tensor last_;
};

}  // namespace sora
