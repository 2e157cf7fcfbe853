// From a position in a text to the line and column that an editor shows.
#pragma once

#include <string_view>
#include <vector>

#include "lib/jobs/prompt_file.h"

namespace sora {

class TextPlaces {
 public:
  explicit TextPlaces(std::string_view text);  // the text must outlive this
  // From one thread at a time.
  Place at(size_t offset) const;

  size_t num_lines() const { return starts_.size(); }
  size_t line_start(size_t index) const { return starts_[index]; }
  std::string_view line(size_t index) const;  // without its end, \n or \r\n

 private:
  std::string_view text_;
  std::vector<size_t> starts_;
  // Where the last column was counted to: readers ask from left to right, and lines may be long.
  mutable size_t counted_to_ = 0;
  mutable int column_ = 1;
};

}  // namespace sora
