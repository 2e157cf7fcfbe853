// The constant rate that a stream is taken to have.
#pragma once

#include "lib/media/media_input.h"

namespace sora {

// The average rate where the container knows one, else its guess, else 25 (of a single picture).
Rational frame_rate_of(MediaInput& input, AVStream& stream);

}  // namespace sora
