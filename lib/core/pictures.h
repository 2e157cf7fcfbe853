// Pictures to be looked at rather than kept: previews of a clip that is being made, contact sheets.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace sora {

// Frames of one size, shown at `fps`.
struct Pictures {
  int64_t num_frames = 0;
  int64_t height = 0;  // pixels
  int64_t width = 0;
  double fps = 0;
  std::vector<uint8_t> rgb;  // [num_frames, height, width, 3]

  const uint8_t* frame(int64_t index) const {
    return rgb.data() + static_cast<size_t>(index * height * width * 3);
  }
};

// How a clip is looked at while it is made.
struct PreviewSpec {
  // Of a small file that is renewed meanwhile: .webp, .gif, .apng or .png; empty: none.
  std::string path;
  bool force = false;  // replace a file that is there before
  std::function<void(const Pictures&)>
      show;  // called on the thread that makes the clip; empty: none

  bool is_wanted() const { return !path.empty() || show; }
};

// A contact sheet of video files and pictures.
struct SheetRequest {
  std::vector<std::string> paths;
  int64_t cell_width = 320;  // pixels of one picture; its height is that of the first file's shape
  int64_t columns = 4;       // pictures of each file, evenly over its length
  bool moving = false;       // instead one picture of each file, side by side, that moves
  std::string output = {};   // where it is to be written, checked beforehand; empty: nowhere
  bool force = false;        // replace a file that is there
};

// How a terminal shows pictures.
enum class PictureForm { Kitty, Sixel, HalfBlocks };
enum class TerminalColours { True, Indexed256, Indexed16, None };

struct TerminalForm {
  PictureForm form = PictureForm::HalfBlocks;
  TerminalColours colours = TerminalColours::True;
  int columns = 80;  // cells of the whole terminal
  int rows = 24;
  int cell_width = 10;  // pixels
  int cell_height = 20;
};

// A picture as a terminal is told to draw it, from the cursor's place on.
struct TerminalDrawing {
  std::string text;
  int columns = 0;  // cells that it takes
  int rows = 0;
};

}  // namespace sora
