// RGB pixels to the frame that an encoder takes: packed RGB by copying, YUV by zimg.
#pragma once

#include <cstdint>
#include <memory>

#include "lib/media/ffmpeg.h"
#include "lib/media/planes.h"

namespace sora {

// Colour tags of a written stream.
struct ColorTags {
  AVColorSpace space = AVCOL_SPC_BT709;
  AVColorRange range = AVCOL_RANGE_MPEG;
  AVColorTransferCharacteristic transfer = AVCOL_TRC_BT709;
  AVColorPrimaries primaries = AVCOL_PRI_BT709;
};

class RgbToFrame {
 public:
  // `matrix` is that of YUV formats. `even_sides` grows odd sides by repeating the last column and
  // row. Throws Error(Internal) for a format other than packed 8-bit RGB or planar YUV.
  RgbToFrame(int64_t width, int64_t height, AVPixelFormat format, int matrix, bool even_sides,
             bool settled = false);

  int width() const { return width_; }  // of the frames
  int height() const { return height_; }
  AVPixelFormat format() const { return format_; }
  const ColorTags& tags() const { return tags_; }

  // rgb_HWC: the picture's bytes, width * 3 to a row.
  av::Frame operator()(const uint8_t* rgb_HWC);

 private:
  int64_t source_width_, source_height_;
  int width_, height_;
  AVPixelFormat format_;
  ColorTags tags_;
  std::unique_ptr<Planes> planes_;      // of YUV formats
  std::unique_ptr<Planes> padded_yuv_;  // where zimg wants even sides and the frame has odd ones
  std::unique_ptr<PlaneConverter> converter_, converter_back_;
};

}  // namespace sora
