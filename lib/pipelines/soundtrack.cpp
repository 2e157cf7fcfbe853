// Pieces are added up: around a border one falls as the other rises, their ramps together being 1.
#include "lib/pipelines/soundtrack.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "lib/core/error.h"
#include "lib/media/sound.h"

namespace sora {
namespace {

// Half a ramp, in samples: 5 ms, too short to be heard as a fade and long enough not to be heard as
// a click.
constexpr int64_t kHalfRamp = kSoundRate / 200;
constexpr int64_t kRamp = 2 * kHalfRamp;

// From the first sample that is not zero to behind the last one.
Stretch sounding_samples(const at::Tensor& piece_NC) {
  const at::Tensor places = piece_NC.ne(0).any(1).nonzero();
  if (places.size(0) == 0) return {0, piece_NC.size(0)};
  return {places[0].item<int64_t>(), places[-1].item<int64_t>() + 1};
}

class Soundtrack {
 public:
  Soundtrack(const Layout& layout, int64_t channels)
      : samples_per_frame_(static_cast<double>(kSoundRate) / layout.fps.value()),
        samples_NC_(at::zeros({sample_of(layout.num_frames), channels}, at::kFloat)) {}

  void add(const Heard& heard) {
    const int64_t border_start = sample_of(heard.frames.start),
                  border_stop = sample_of(heard.frames.stop);
    const int64_t start = std::max<int64_t>(0, border_start - kHalfRamp);
    const int64_t stop = std::min(samples_NC_.size(0), border_stop + kHalfRamp);
    const double from_s = (static_cast<double>(heard.first) * samples_per_frame_ +
                           static_cast<double>(start - border_start)) /
                          static_cast<double>(kSoundRate);
    const std::string& path = heard.source->path();
    const at::Tensor piece_NC = under_name(path, heard.source->name(), [&] {
      return read_sound(path, from_s, stop - start, samples_NC_.size(1));
    });
    const Stretch sounding = sounding_samples(piece_NC);
    const at::Tensor gain_N = at::ones({stop - start}, at::kFloat);
    float* gain = gain_N.mutable_data_ptr<float>();
    for (int64_t sample = start; sample < stop; ++sample) {
      double value = gain_at(heard, sample);
      // The clip's own ends are no cuts. Where the source itself begins or ends within a ramp, it
      // is faded from there.
      if (border_start > 0) {
        value *= ramp(sample - border_start);
        if (0 < sounding.start && sounding.start < kRamp)
          value *= ramp(sample - start - sounding.start - kHalfRamp);
      }
      if (border_stop < samples_NC_.size(0)) {
        value *= ramp(border_stop - sample);
        const int64_t silence = stop - start - sounding.stop;
        if (0 < silence && silence < kRamp)
          value *= ramp(sounding.stop - (sample - start) - kHalfRamp);
      }
      gain[sample - start] = static_cast<float>(value);
    }
    samples_NC_.slice(0, start, stop).add_(piece_NC * gain_N.unsqueeze(1));
  }

  at::Tensor finish() { return samples_NC_.clamp_(-1, 1); }

 private:
  int64_t sample_of(int64_t frame) const {
    return std::llround(static_cast<double>(frame) * samples_per_frame_);
  }

  // 0 from half a ramp before the border, 1 from half a ramp after it.
  static double ramp(int64_t beyond) {
    return std::clamp(0.5 + static_cast<double>(beyond) / static_cast<double>(kRamp), 0.0, 1.0);
  }

  // Frames' gains hold at their middles and go over into one another.
  double gain_at(const Heard& heard, int64_t sample) const {
    if (heard.gains.empty()) return 1;
    const double last = static_cast<double>(heard.gains.size() - 1);
    const double place = std::clamp(static_cast<double>(sample) / samples_per_frame_ -
                                        static_cast<double>(heard.frames.start) - 0.5,
                                    0.0, last);
    const auto before = static_cast<size_t>(place);
    const size_t after = std::min(before + 1, heard.gains.size() - 1);
    const double share = place - static_cast<double>(before);
    return heard.gains[before] * (1 - share) + heard.gains[after] * share;
  }

  double samples_per_frame_;
  at::Tensor samples_NC_;
};

}  // namespace

at::Tensor make_soundtrack(const Layout& layout, Observer& observer) {
  int64_t channels = 0;
  for (const Heard& heard : layout.heard) {
    const std::string& path = heard.source->path();
    channels = std::max(
        channels, under_name(path, heard.source->name(), [&] { return sound_channels(path); }));
  }
  if (channels == 0) return {};
  Soundtrack track(layout, channels);
  std::set<std::string> left_out;
  bool is_heard = false;
  for (const Heard& heard : layout.heard) {
    const std::string& name = heard.source->name();
    if (left_out.count(name)) continue;
    try {
      track.add(heard);
      is_heard = true;
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Input) throw;
      left_out.insert(name);
      observer.notice(fmt::format("{}; it is left out", error.what()));
    }
  }
  return is_heard ? track.finish() : at::Tensor();
}

}  // namespace sora
