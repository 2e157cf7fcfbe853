#include "lib/provenance/visible_mark.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

namespace sora {
namespace {

constexpr int64_t kGlyphWidth = 5, kGlyphHeight = 7, kAdvance = 6;
constexpr int64_t kRim = 1;                // units around the letters
constexpr double kUnitOfSide = 1.0 / 210;  // a letter of 7 units is a thirtieth of the side
constexpr double kMarginOfSide = 1.0 / 40;
constexpr float kLightOpacity = 0.80f, kDarkOpacity = 0.45f;

struct Glyph {
  char letter;
  std::array<std::string_view, kGlyphHeight> rows;
};

constexpr Glyph kGlyphs[] = {
    {'A', {" ### ", "#   #", "#   #", "#####", "#   #", "#   #", "#   #"}},
    {'D', {"#### ", "#   #", "#   #", "#   #", "#   #", "#   #", "#### "}},
    {'E', {"#####", "#    ", "#    ", "#### ", "#    ", "#    ", "#####"}},
    {'G', {" ### ", "#   #", "#    ", "# ###", "#   #", "#   #", " ### "}},
    {'I', {" ### ", "  #  ", "  #  ", "  #  ", "  #  ", "  #  ", " ### "}},
    {'N', {"#   #", "##  #", "# # #", "#  ##", "#   #", "#   #", "#   #"}},
    {'R', {"#### ", "#   #", "#   #", "#### ", "# #  ", "#  # ", "#   #"}},
    {'T', {"#####", "  #  ", "  #  ", "  #  ", "  #  ", "  #  ", "  #  "}},
};

bool is_inked(std::string_view text, int64_t x, int64_t y) {
  if (x < 0 || y < 0 || y >= kGlyphHeight) return false;
  const auto index = static_cast<size_t>(x / kAdvance);
  if (index >= text.size() || x % kAdvance >= kGlyphWidth) return false;
  for (const Glyph& glyph : kGlyphs) {
    if (glyph.letter == text[index])
      return glyph.rows[static_cast<size_t>(y)][static_cast<size_t>(x % kAdvance)] == '#';
  }
  return false;
}

bool is_near_ink(std::string_view text, int64_t x, int64_t y) {
  for (int64_t dy = -kRim; dy <= kRim; ++dy) {
    for (int64_t dx = -kRim; dx <= kRim; ++dx) {
      if (is_inked(text, x + dx, y + dy)) return true;
    }
  }
  return false;
}

}  // namespace

VisibleMark::VisibleMark(int64_t width, int64_t height) {
  const auto side = static_cast<double>(std::min(width, height));
  const int64_t unit = std::max<int64_t>(1, std::llround(side * kUnitOfSide));
  const auto margin = static_cast<int64_t>(side * kMarginOfSide);
  for (const std::string_view text : {"AI GENERATED", "AI"}) {
    const int64_t units_x =
        static_cast<int64_t>(text.size()) * kAdvance - (kAdvance - kGlyphWidth) + 2 * kRim;
    const int64_t units_y = kGlyphHeight + 2 * kRim;
    if (units_x * unit + 2 * margin > width || units_y * unit + 2 * margin > height) continue;
    width_ = units_x * unit;
    height_ = units_y * unit;
    left_ = width - margin - width_;
    top_ = height - margin - height_;
    for (int64_t y = 0; y < height_; ++y) {
      for (int64_t x = 0; x < width_; ++x) {
        const int64_t text_x = x / unit - kRim, text_y = y / unit - kRim;
        light_.push_back(is_inked(text, text_x, text_y) ? kLightOpacity : 0);
        dark_.push_back(is_near_ink(text, text_x, text_y) ? kDarkOpacity : 0);
      }
    }
    return;
  }
}

at::Tensor VisibleMark::operator()(const at::Tensor& frames_FHWC) const {
  at::Tensor marked = frames_FHWC.clone(at::MemoryFormat::Contiguous);
  const int64_t frame_height = marked.size(1), frame_width = marked.size(2);
  auto* pixels = marked.mutable_data_ptr<uint8_t>();
  for (int64_t frame = 0; frame < marked.size(0); ++frame) {
    for (int64_t y = 0; y < height_; ++y) {
      uint8_t* row = pixels + ((frame * frame_height + top_ + y) * frame_width + left_) * 3;
      for (int64_t i = 0; i < 3 * width_; ++i) {
        const auto at = static_cast<size_t>(y * width_ + i / 3);
        const float under = static_cast<float>(row[i]) * (1 - dark_[at]);
        row[i] = static_cast<uint8_t>(std::lround(under + (255 - under) * light_[at]));
      }
    }
  }
  return marked;
}

}  // namespace sora
