// The timeline at the model's frame rate and size: which frames are known, which follow a source,
// which are free, and which text holds. Nothing after it knows which operation it came from.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "lib/pipelines/layout.h"
#include "lib/pipelines/plan.h"

namespace sora {

// F frames, H height, W width
class Canvas {
 public:
  // Canvas frames `frames` as u8 RGB [F,H,W,3] of the canvas' size.
  using ReadFrames = std::function<at::Tensor(Stretch frames)>;

  struct Known {
    Stretch frames;
    ReadFrames read;
    bool from_source = false;  // the output shows the source itself there
    bool is_picture = false;   // one that stands by itself
  };
  // Free frames that follow a source.
  struct Follow {
    Stretch frames;
    ReadFrames read;
    at::Tensor weights_F;    // f32: its share of the mixture
    bool look_only = false;  // lends its latents' mean and deviation only
  };

  // `size` lies on the model's pixel grid.
  Canvas(Size size, int64_t num_frames, std::vector<Said> prompts);

  // Frames [start, start + F) are these. Throws Error(Internal) outside the canvas or over other
  // known frames.
  void keep(const at::Tensor& frames_FHWC, int64_t start);
  // The same, read when they are needed.
  void keep(Stretch frames, ReadFrames read, bool from_source = false) {
    keep(Known{frames, std::move(read), from_source});
  }
  // The same of a picture [H,W,3].
  void keep_picture(const at::Tensor& picture_HWC, int64_t frame);
  void follow(Follow source) { follows_.push_back(std::move(source)); }
  // Noise level, per frame, down to which it follows the sources; f32 [num_frames], 1 for a frame
  // that does not.
  void set_levels(const at::Tensor& levels_F) { levels_F_ = levels_F; }

  // A picture the user gave, at its own size, for models whose image encoder looks at it; in order
  // of time.
  void show(const at::Tensor& picture_HWC) { pictures_.push_back(picture_HWC); }

  // A picture of what the clip shows, and frames that say where things are, for models with a
  // control branch.
  void refer(const at::Tensor& picture_HWC) { references_.push_back(picture_HWC); }
  void control(Stretch frames, ReadFrames read) { control_ = {frames, std::move(read)}; }

  Size size() const { return size_; }
  int64_t num_frames() const { return num_frames_; }
  const std::vector<Said>& prompts() const { return prompts_; }
  const std::vector<Known>& known() const { return known_; }
  const std::vector<Follow>& follows() const { return follows_; }
  const at::Tensor& levels() const { return levels_F_; }  // undefined where nothing is followed
  const std::vector<at::Tensor>& pictures() const { return pictures_; }
  const std::vector<at::Tensor>& references() const { return references_; }
  const Known& controlling() const { return control_; }  // of no frames where there is no control
  bool is_free() const { return known_.empty(); }

  at::Tensor known_mask() const;  // [num_frames] f32: 1 known, 0 free

  // Frames that are all known.
  at::Tensor read_known(Stretch frames) const;

  // A canvas of its own for `window`, whose frames have been read. It may reach past the end; what
  // is there is free. What lies outside of `sees` is left out of it.
  Canvas cut(Stretch window, Stretch sees = {0, INT64_MAX}) const;

  // The canvas with its pictures in the free frames of their latent frames as well, for models that
  // are told of whole latent frames.
  Canvas with_whole_pictures(const LatentStrides& strides) const;

  // One line a segment, for --dry-run: "frames 0-1 known", "frames 1-33 free: a red ball".
  std::vector<std::string> describe() const;

 private:
  void keep(Known known);
  const std::string& text_at(int64_t frame) const;

  Size size_;
  int64_t num_frames_;
  std::vector<Said> prompts_;  // by start, without gaps
  std::vector<Known> known_;   // by start
  std::vector<Follow> follows_;
  at::Tensor levels_F_;
  std::vector<at::Tensor> pictures_;
  std::vector<at::Tensor> references_;
  Known control_;
};

// The plan's layout at the model's rate and size. Throws Error(NotFound | Input) for a picture that
// cannot be read.
Canvas make_canvas(const Plan& plan);

}  // namespace sora
