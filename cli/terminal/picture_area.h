// A part of the terminal, above the line that the cursor is on, that shows one picture after
// another.
#pragma once

#include <cstdio>
#include <string>

#include "lib/core/pictures.h"

namespace sora::cli {

class PictureArea {
 public:
  PictureArea(std::FILE* terminal, const TerminalForm& form) : terminal_(terminal), form_(form) {}

  // In place of the one before. The cursor's line is empty when this is called and afterwards.
  void show(const TerminalDrawing& drawing);
  void erase();               // the cursor's line moves up to where the picture began
  void keep() { rows_ = 0; }  // what is shown stays; the next one goes below it

  const TerminalForm& form() const { return form_; }
  bool is_shown() const { return rows_ > 0; }

 private:
  std::string to_top() const;

  std::FILE* terminal_;
  TerminalForm form_;
  int rows_ = 0;  // of the picture on the screen
  int columns_ = 0;
};

}  // namespace sora::cli
