// Brings drawn frames to the known ones beside them.
//
// A VAE gives frames back a little softer and in slightly other colours, so that a drawn frame next
// to a source's own shows a step although the drawing goes on smoothly. What the VAE makes of the
// known frame at a border is known too: the difference, where the drawn picture still shows the
// same thing, there or moved, is its error there as well, and is added; where it moved, only for
// some frames. What differs all over the frame is a shift of colour and goes everywhere. What still
// shows the same keeps the border's colours, place by place, so that they do not drift from window
// to window and from one extension to the next. The first frames are the known ones' own motion
// gone on with, from which the drawing takes over little by little. Between two borders the one
// goes over into the other.
//
// Where the known frames were drawn too, only what stays in place is brought to them, and what is
// added dies away within a `reach`: it would be known to the next window, whose corrections came on
// top of it, and so on.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <optional>
#include <vector>

#include "lib/pipelines/canvas.h"
#include "lib/pipelines/motion_search.h"

namespace sora {

class BorderMatch {
 public:
  // Frames of the window, u8 [H,W,3], in order.
  using TakeFrame = std::function<void(int64_t frame, const at::Tensor& frame_HWC)>;

  // `window` must outlive the object; without known frames, frames pass as they are. `reach` in
  // frames; 0: without end.
  BorderMatch(const Canvas& window, TakeFrame take_free, int64_t reach = 0);

  // Decoded frames of the whole window in order, u8 [F,H,W,3]. The free ones are handed on; those
  // before a border are held back until it has come.
  void push(const at::Tensor& frames_FHWC);

 private:
  struct Border {
    int64_t frame = 0;
    at::Tensor known_HWC;  // f32, as all of them
    at::Tensor decoded_HWC;
    at::Tensor detail_HWC;  // what the known frame has more than the decoded one, but for the shift
    at::Tensor shift_3;
    std::vector<at::Tensor> onward_HWC;  // the known motion gone on with, nearest first; empty
                                         // beside a single known frame
  };
  struct Drawn {
    int64_t frame = 0;
    at::Tensor frame_HWC;  // u8
  };

  // What a drawn frame needs, as one border has it.
  struct Correction {
    Motion motion;           // from the border to the frame
    at::Tensor like_HW1;     // where the frame shows what the border does
    at::Tensor missing_HWC;  // detail, to be added there
    at::Tensor colour_HWC;   // to be added everywhere
  };

  bool is_known(int64_t frame) const;
  // `before` is the known frame from which things moved to the border; it may be none.
  Border border_at(int64_t frame, int64_t before, const at::Tensor& decoded_HWC) const;
  Correction correction_at(const Border& border, const at::Tensor& drawn_HWC,
                           double distance) const;
  at::Tensor matched(const Drawn& drawn, const Border* after) const;
  void hand_on_held(const Border* after);

  const Canvas& window_;
  TakeFrame take_free_;
  int64_t reach_;
  std::vector<bool> known_;
  int64_t last_known_ = -1;
  int64_t next_ = 0;
  std::optional<Border> before_;
  std::vector<Drawn> held_;
};

}  // namespace sora
