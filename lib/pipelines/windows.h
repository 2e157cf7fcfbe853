// How a timeline longer than the model's window is drawn: overlapping windows, each told the frames
// next to its own that are known or were drawn before it. Numbers only.
#pragma once

#include <cstdint>
#include <vector>

#include "lib/models/latents.h"

namespace sora {

// Frames [start, stop) of a timeline.
struct Stretch {
  int64_t start = 0;
  int64_t stop = 0;
  int64_t size() const { return stop - start; }
  bool operator==(const Stretch&) const = default;
};

// One pass of the denoise loop.
struct Window {
  Stretch frames;              // 4n+1 of them; may reach past the end of the timeline
  Stretch draws;               // the free frames in here get their pixels from this window
  Stretch sees{0, INT64_MAX};  // nothing beyond is shown to it: there is a cut
  bool operator==(const Window&) const = default;
};

// The frames not in `known` (sorted, disjoint) of [0, num_frames), in order.
std::vector<Stretch> free_stretches(const std::vector<Stretch>& known, int64_t num_frames);

// Known frames that a window takes over from its neighbour: a fifth of it, 4n+1, at least 5 where
// they fit.
int64_t context_frames(const LatentStrides& strides, int64_t max_frames);

// Windows of at most `max_frames` (4n+1) in the order in which they are drawn. Every free frame is
// drawn by exactly one window; a stretch that only what follows it is known of is drawn from its
// end to its beginning. What fits one window is one window.
std::vector<Window> plan_windows(const std::vector<Stretch>& known, int64_t num_frames,
                                 const LatentStrides& strides, int64_t max_frames);

// The same of a timeline with cuts before these frames (rising, inside of it), over which no window
// looks.
std::vector<Window> plan_windows(const std::vector<Stretch>& known, int64_t num_frames,
                                 const LatentStrides& strides, int64_t max_frames,
                                 const std::vector<int64_t>& cuts);

}  // namespace sora
