#include "lib/jobs/text_places.h"

#include <algorithm>

#include "lib/core/utf8.h"

namespace sora {

TextPlaces::TextPlaces(std::string_view text) : text_(text), starts_{0} {
  for (size_t end = text.find('\n'); end != std::string_view::npos;
       end = text.find('\n', end + 1)) {
    if (end + 1 < text.size()) starts_.push_back(end + 1);
  }
}

Place TextPlaces::at(size_t offset) const {
  offset = std::min(offset, text_.size());
  const auto next = std::upper_bound(starts_.begin(), starts_.end(), offset);
  const size_t line = static_cast<size_t>(next - starts_.begin()) - 1;
  if (counted_to_ < starts_[line] || counted_to_ > offset) {
    counted_to_ = starts_[line];
    column_ = 1;
  }
  for (const char c : text_.substr(counted_to_, offset - counted_to_)) {
    if (!is_utf8_continuation(c)) ++column_;
  }
  counted_to_ = offset;
  return {static_cast<int>(line) + 1, column_};
}

std::string_view TextPlaces::line(size_t index) const {
  const size_t start = starts_[index];
  const size_t end = index + 1 < starts_.size() ? starts_[index + 1] : text_.size();
  std::string_view line = text_.substr(start, end - start);
  if (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
  return line;
}

}  // namespace sora
