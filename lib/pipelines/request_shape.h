// What comes out of a request, known once it is planned and before its first frame is made.
#pragma once

#include <cstdint>

#include "lib/pipelines/request.h"

namespace sora {

struct ClipShape {
  Size size;
  int64_t num_frames = 0;
  Rational fps;
  int variations = 1;  // clips of this shape
};

// Asked between plan and work, and told of each clip that is whole.
class Admission {
 public:
  virtual ~Admission() = default;
  virtual void planned(const ClipShape& shape) = 0;  // refuses by throwing
  virtual void made(int /*variation*/) {}            // counted from 0, its file complete
};

}  // namespace sora
