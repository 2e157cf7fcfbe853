#include "lib/media/stream_timing.h"

namespace sora {

Rational frame_rate_of(MediaInput& input, AVStream& stream) {
  const auto known = [](AVRational rate) { return rate.num > 0 && rate.den > 0; };
  if (known(stream.avg_frame_rate)) return av::from_av(stream.avg_frame_rate);
  const AVRational guess = av_guess_frame_rate(&input.context(), &stream, nullptr);
  return known(guess) ? av::from_av(guess) : Rational(25);
}

}  // namespace sora
