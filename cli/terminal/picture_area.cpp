// Where the cursor stands after sixels or kitty's graphics differs from terminal to terminal, so it
// is put where it belongs: the rows are made first, which may scroll the screen, then the picture
// is drawn between a saved and a restored cursor.
#include "cli/terminal/picture_area.h"

#include <fmt/format.h>

namespace sora::cli {

std::string PictureArea::to_top() const {
  std::string text = fmt::format("\r\x1b[{}A", rows_);
  if (form_.form == PictureForm::Kitty)
    text += "\x1b_Ga=d,d=C,q=2\x1b\\";  // let go of the image under the cursor
  return text;
}

void PictureArea::show(const TerminalDrawing& drawing) {
  std::string text;
  const bool is_same_place = rows_ == drawing.rows && columns_ == drawing.columns;
  if (rows_ > 0) text += to_top() + (is_same_place ? "" : "\x1b[J");
  text += std::string(static_cast<size_t>(drawing.rows), '\n');
  text += fmt::format(
      "\r\x1b[{}A\x1b"
      "7{}\x1b"
      "8\x1b[{}B\r",
      drawing.rows, drawing.text, drawing.rows);
  std::fwrite(text.data(), 1, text.size(), terminal_);
  std::fflush(terminal_);
  rows_ = drawing.rows;
  columns_ = drawing.columns;
}

void PictureArea::erase() {
  if (rows_ == 0) return;
  const std::string text = to_top() + "\x1b[J";
  std::fwrite(text.data(), 1, text.size(), terminal_);
  std::fflush(terminal_);
  rows_ = 0;
}

}  // namespace sora::cli
