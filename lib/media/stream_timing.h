// The constant rate that a stream is taken to have.
#pragma once

#include "lib/media/media_input.h"

namespace sora {

// The average rate where the container knows one, or the rate of the time stamps that it nearly is
// or that frames have between pauses; else the container's guess, else 25 (of a single picture).
Rational frame_rate_of(MediaInput& input, AVStream& stream);

}  // namespace sora
