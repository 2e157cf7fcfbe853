#include "lib/media/rgb_to_frame.h"

#include <cstring>

namespace sora {
namespace {

void pack_rgb(const uint8_t* rgb_HWC, AVFrame& frame) {
  const AVPixFmtDescriptor& description =
      *av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame.format));
  const int step = description.comp[0].step;
  const int red = description.comp[0].offset, green = description.comp[1].offset,
            blue = description.comp[2].offset;
  for (int y = 0; y < frame.height; ++y) {
    const uint8_t* from = rgb_HWC + int64_t{y} * frame.width * 3;
    uint8_t* to = frame.data[0] + int64_t{y} * frame.linesize[0];
    if (step == 3 && red == 0) {
      std::memcpy(to, from, static_cast<size_t>(frame.width) * 3);
      continue;
    }
    std::memset(to, 255,
                static_cast<size_t>(frame.width) * step);  // opaque where there is a fourth byte
    for (int x = 0; x < frame.width; ++x) {
      to[x * step + red] = from[3 * x];
      to[x * step + green] = from[3 * x + 1];
      to[x * step + blue] = from[3 * x + 2];
    }
  }
}

}  // namespace

RgbToFrame::RgbToFrame(int64_t width, int64_t height, AVPixelFormat format, int matrix,
                       bool even_sides, bool settled)
    : source_width_(width),
      source_height_(height),
      width_(round_up(width, even_sides ? 1 : 0)),
      height_(round_up(height, even_sides ? 1 : 0)),
      format_(format) {
  const AVPixFmtDescriptor* description = av_pix_fmt_desc_get(format);
  if (!description)
    fail(ErrorKind::Internal, "this FFmpeg does not know the pixel format {}", int{format});
  if (description->flags & AV_PIX_FMT_FLAG_RGB) {
    const bool packed_bytes =
        !(description->flags & AV_PIX_FMT_FLAG_PLANAR) && description->comp[0].depth == 8;
    if (!packed_bytes || even_sides)
      fail(ErrorKind::Internal, "no way to write {} frames", description->name);
    tags_ = {AVCOL_SPC_RGB, AVCOL_RANGE_JPEG, AVCOL_TRC_IEC61966_2_1, AVCOL_PRI_BT709};
    return;
  }
  if (!(description->flags & AV_PIX_FMT_FLAG_PLANAR) || description->nb_components != 3) {
    fail(ErrorKind::Internal, "no way to write {} frames", description->name);
  }
  tags_.space = static_cast<AVColorSpace>(matrix);
  PlaneFormat rgb;
  rgb.width = round_up(width_, description->log2_chroma_w);
  rgb.height = round_up(height_, description->log2_chroma_h);
  PlaneFormat yuv = rgb;
  yuv.family = ColorFamily::Yuv;
  yuv.depth = description->comp[0].depth;
  yuv.log2_chroma_w = description->log2_chroma_w;
  yuv.log2_chroma_h = description->log2_chroma_h;
  yuv.matrix = matrix;
  yuv.full_range = false;
  planes_ = std::make_unique<Planes>(rgb);
  if (rgb.width != width_ || rgb.height != height_) padded_yuv_ = std::make_unique<Planes>(yuv);
  converter_ = std::make_unique<PlaneConverter>(rgb, yuv);
  if (settled) converter_back_ = std::make_unique<PlaneConverter>(yuv, rgb);
}

av::Frame RgbToFrame::operator()(const uint8_t* rgb_HWC) {
  av::Frame frame = av::make_frame(width_, height_, format_);
  frame->colorspace = tags_.space;
  frame->color_range = tags_.range;
  frame->color_trc = tags_.transfer;
  frame->color_primaries = tags_.primaries;
  if (!converter_) {
    pack_rgb(rgb_HWC, *frame);
    return frame;
  }
  frame->chroma_location = AVCHROMA_LOC_LEFT;
  split_rgb(rgb_HWC, source_width_, source_height_, *planes_);
  PlaneView target;
  for (int plane = 0; plane < 3; ++plane) {
    target.data[plane] = frame->data[plane];
    target.stride[plane] = frame->linesize[plane];
  }
  if (!padded_yuv_) {
    (*converter_)(planes_->view(), target);
    if (converter_back_) {
      // Once there and back is enough: the clipped colour lies on the edge, from where it moves no
      // more.
      (*converter_back_)(target, planes_->view());
      (*converter_)(planes_->view(), target);
    }
    return frame;
  }
  (*converter_)(planes_->view(), padded_yuv_->view());
  const PlaneFormat& yuv = padded_yuv_->format();
  for (int plane = 0; plane < 3; ++plane) {
    // An odd side of the frame rounds up to whole chroma samples.
    const int width = plane == 0 ? width_ : yuv.plane_width(plane);
    const int height = plane == 0 ? height_ : yuv.plane_height(plane);
    for (int y = 0; y < height; ++y) {
      std::memcpy(target.data[plane] + y * target.stride[plane],
                  padded_yuv_->view().data[plane] + y * padded_yuv_->view().stride[plane],
                  static_cast<size_t>(width) * yuv.sample_bytes());
    }
  }
  return frame;
}

}  // namespace sora
