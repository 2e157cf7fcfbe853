// Left to right, as the causal VAE and people look at time: a window begins with a context of 4n+1
// frames, which are whole latent frames, and the last window of a gap also sees the frames after
// it.
#include "lib/pipelines/windows.h"

#include <algorithm>
#include <cmath>

#include "lib/core/error.h"

namespace sora {
namespace {

constexpr double kContextShare = 0.2;

class Planner {
 public:
  Planner(const std::vector<Stretch>& known, int64_t num_frames, const LatentStrides& strides,
          int64_t max_frames)
      : free_(free_stretches(known, num_frames)),
        num_frames_(num_frames),
        strides_(strides),
        max_frames_(max_frames),
        context_(context_frames(strides, max_frames)) {}

  std::vector<Window> plan() {
    if (free_.empty()) return {};
    if (round_up_frames(strides_, num_frames_) <= max_frames_) {
      return {{{0, round_up_frames(strides_, num_frames_)}, {0, num_frames_}}};
    }
    for (size_t index = 0; index < free_.size();) {
      const Stretch& gap = free_[index];
      const bool only_end_known = gap.start == 0 && gap.stop < num_frames_;
      index = only_end_known && gap.size() + context_after(index) > max_frames_
                  ? draw_backward(index)
                  : draw(index);
    }
    return std::move(windows_);
  }

 private:
  int64_t known_after(size_t index) const {
    const int64_t next = index + 1 < free_.size() ? free_[index + 1].start : num_frames_;
    return next - free_[index].stop;
  }

  // As many frames after a gap as a window wants to see: whole latent frames where there are as
  // many.
  int64_t context_after(size_t index) const {
    const int64_t wanted = std::min(context_ - 1, known_after(index));
    return wanted >= strides_.temporal ? wanted / strides_.temporal * strides_.temporal : wanted;
  }

  // 4n+1 of the frames before `position`, at most `wanted`.
  int64_t context_before(int64_t position, int64_t wanted) const {
    if (position == 0) return 0;
    return (std::min(wanted, position) - 1) / strides_.temporal * strides_.temporal + 1;
  }

  // How many of `rest` frames the next window draws: of a clip's beginning as many as it can, else
  // its part of windows of equal size, so that each sees as much as possible of what it goes on
  // from.
  int64_t part_of(int64_t rest, int64_t before, int64_t after) const {
    const int64_t room = max_frames_ - before;
    if (before == 0) return std::min(room, rest);
    const int64_t count = (rest + after + room - 1) / room;
    const int64_t part = (rest + count - 1) / count;
    return std::min(
        {room, rest, (part + strides_.temporal - 1) / strides_.temporal * strides_.temporal});
  }

  // Draws the gap `index` from left to right, and those after it that the last window has room for.
  // Returns the index of the next gap.
  size_t draw(size_t index) {
    int64_t position = free_[index].start;
    while (true) {
      const int64_t before = context_before(position, context_);
      size_t last = index;
      while (last + 1 < free_.size() &&
             before + free_[last + 1].stop - position + context_after(last + 1) <= max_frames_)
        ++last;
      const int64_t stop = free_[last].stop;
      const int64_t rest = stop - position;
      if (rest <= 0) return last + 1;
      if (before + rest + context_after(last) <= max_frames_) {
        const bool goes_on = position > free_[index].start;
        const int64_t room = max_frames_ - rest - context_after(last);
        close(position, stop, goes_on ? context_before(position, room) : before,
              context_after(last));
        return last + 1;
      }
      const int64_t drawn = part_of(rest, before, context_after(last));
      const int64_t seen = context_before(position, max_frames_ - drawn);
      windows_.push_back(
          {{position - seen, position - seen + round_up_frames(strides_, seen + drawn)},
           {position, position + drawn}});
      position += drawn;
    }
  }

  // A window of 4n+1 frames over [position, stop) with at least this many frames around it: it
  // grows to the left, where all is known by now, then to the right.
  void close(int64_t position, int64_t stop, int64_t before, int64_t after) {
    const int64_t length = round_up_frames(strides_, before + stop - position + after);
    const int64_t missing = length - (before + stop - position + after);
    const int64_t start = std::max<int64_t>(0, position - before - missing);
    windows_.push_back({{start, start + length}, {position, stop}});
  }

  // Draws the gap at the timeline's beginning from right to left.
  size_t draw_backward(size_t index) {
    int64_t position = free_[index].stop;
    while (position > 0) {
      const int64_t drawn = part_of(position, context_ - 1, 0);
      const int64_t after = std::min(max_frames_ - drawn, num_frames_ - position);
      const int64_t length = round_up_frames(strides_, drawn + after);
      windows_.push_back(
          {{position - drawn, position - drawn + length}, {position - drawn, position}});
      position -= drawn;
    }
    return index + 1;
  }

  std::vector<Stretch> free_;
  int64_t num_frames_;
  LatentStrides strides_;
  int64_t max_frames_;
  int64_t context_;
  std::vector<Window> windows_;
};

}  // namespace

std::vector<Stretch> free_stretches(const std::vector<Stretch>& known, int64_t num_frames) {
  std::vector<Stretch> free;
  int64_t next = 0;
  for (const Stretch& stretch : known) {
    if (next < stretch.start) free.push_back({next, stretch.start});
    next = std::max(next, stretch.stop);
  }
  if (next < num_frames) free.push_back({next, num_frames});
  return free;
}

int64_t context_frames(const LatentStrides& strides, int64_t max_frames) {
  const double share = std::round(static_cast<double>(max_frames) * kContextShare /
                                  static_cast<double>(strides.temporal));
  const int64_t context = std::max<int64_t>(1, static_cast<int64_t>(share)) * strides.temporal + 1;
  return std::min(context, std::max<int64_t>(1, max_frames - strides.temporal));
}

std::vector<Window> plan_windows(const std::vector<Stretch>& known, int64_t num_frames,
                                 const LatentStrides& strides, int64_t max_frames) {
  if (max_frames <= strides.temporal || (max_frames - 1) % strides.temporal != 0) {
    fail(ErrorKind::Internal, "a window of {} frames is not {}n+1", max_frames, strides.temporal);
  }
  return Planner(known, num_frames, strides, max_frames).plan();
}

std::vector<Window> plan_windows(const std::vector<Stretch>& known, int64_t num_frames,
                                 const LatentStrides& strides, int64_t max_frames,
                                 const std::vector<int64_t>& cuts) {
  if (cuts.empty()) return plan_windows(known, num_frames, strides, max_frames);
  std::vector<Window> windows;
  for (size_t scene = 0; scene <= cuts.size(); ++scene) {
    const Stretch sees{scene == 0 ? 0 : cuts[scene - 1],
                       scene == cuts.size() ? num_frames : cuts[scene]};
    std::vector<Stretch> own;
    for (const Stretch& stretch : known) {
      const Stretch part{std::max(stretch.start, sees.start) - sees.start,
                         std::min(stretch.stop, sees.stop) - sees.start};
      if (part.size() > 0) own.push_back(part);
    }
    for (const Window& window : plan_windows(own, sees.size(), strides, max_frames)) {
      const auto moved = [&](const Stretch& stretch) {
        return Stretch{stretch.start + sees.start, stretch.stop + sees.start};
      };
      windows.push_back({moved(window.frames), moved(window.draws), sees});
    }
  }
  return windows;
}

}  // namespace sora
