#include "lib/media/stream_timing.h"

#include <algorithm>
#include <cmath>

namespace sora {
namespace {

constexpr double kMaxShownFps = 60;
// Of the rate of the stream's time stamps to its average: fields for frames, and film in the fields
// of television.
constexpr double kFields = 2, kTelecine = 1.25;
constexpr double kNear = 0.05;

// Time stamps of whole milliseconds let the average of a remuxed stream be off by this much, and a
// last frame without a length by 1.5 frames.
constexpr double kRounding = 0.01, kOpenFrames = 1.5;

bool known(AVRational rate) { return rate.num > 0 && rate.den > 0; }

// A pause, such as a GIF's long last frame, lowers the average of frames that otherwise come at a
// higher rate.
bool has_pauses(const AVStream& stream) {
  if (!known(stream.r_frame_rate) || av_q2d(stream.r_frame_rate) > kMaxShownFps) return false;
  const double ratio = av_q2d(stream.r_frame_rate) / av_q2d(stream.avg_frame_rate);
  const auto is_near = [&](double other) { return std::abs(ratio / other - 1) < kNear; };
  return ratio > 1 + kNear && !is_near(kFields) && !is_near(kTelecine);
}

// Whether the rate of the time stamps is the one that the average is meant to be.
bool is_rounded(const AVStream& stream) {
  if (!known(stream.r_frame_rate) || av_q2d(stream.r_frame_rate) > kMaxShownFps) return false;
  const double off = av_q2d(stream.avg_frame_rate) / av_q2d(stream.r_frame_rate) - 1;
  const double open = stream.nb_frames > 0 ? kOpenFrames / double(stream.nb_frames) : 0;
  return std::abs(off) < std::max(kRounding, open);
}

}  // namespace

Rational frame_rate_of(MediaInput& input, AVStream& stream) {
  if (known(stream.avg_frame_rate)) {
    const bool is_nominal = has_pauses(stream) || is_rounded(stream);
    return av::from_av(is_nominal ? stream.r_frame_rate : stream.avg_frame_rate);
  }
  const AVRational guess = av_guess_frame_rate(&input.context(), &stream, nullptr);
  return known(guess) ? av::from_av(guess) : Rational(25);
}

}  // namespace sora
