#include "lib/media/frame_to_rgb.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <iterator>

namespace sora {
namespace {

// Formats that swscale may lay a frame out in.
constexpr AVPixelFormat kYuvPlanes[] = {
    AV_PIX_FMT_GRAY8,       AV_PIX_FMT_YUV420P,     AV_PIX_FMT_YUV422P,
    AV_PIX_FMT_YUV444P,     AV_PIX_FMT_YUVA444P,    AV_PIX_FMT_YUV420P10LE,
    AV_PIX_FMT_YUV422P10LE, AV_PIX_FMT_YUV444P10LE, AV_PIX_FMT_YUV420P16LE,
    AV_PIX_FMT_YUV422P16LE, AV_PIX_FMT_YUV444P16LE, AV_PIX_FMT_YUVA444P16LE};

bool has_alpha(const AVPixFmtDescriptor& description) {
  return description.flags & (AV_PIX_FMT_FLAG_ALPHA | AV_PIX_FMT_FLAG_PAL);
}

// One plane a component, whole bytes, host order: zimg reads it as it is.
bool is_planar(const AVPixFmtDescriptor& description) {
  constexpr uint64_t kOther = AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BITSTREAM |
                              AV_PIX_FMT_FLAG_HWACCEL | AV_PIX_FMT_FLAG_BAYER |
                              AV_PIX_FMT_FLAG_FLOAT | AV_PIX_FMT_FLAG_BE;
  static_assert(std::endian::native == std::endian::little);
  if (description.flags & kOther) return false;
  std::array<bool, 4> seen{};
  for (int i = 0; i < description.nb_components; ++i) {
    const AVComponentDescriptor& component = description.comp[i];
    const bool whole = component.offset == 0 && component.shift == 0 && component.depth >= 8 &&
                       component.depth <= 16 && component.depth == description.comp[0].depth &&
                       component.step == (component.depth > 8 ? 2 : 1);
    if (!whole || std::exchange(seen[component.plane], true)) return false;
  }
  return description.nb_components != 2;  // grey with alpha
}

AVPixelFormat planar_equivalent(AVPixelFormat format, const AVPixFmtDescriptor& description) {
  const bool deep = description.comp[0].depth > 8;
  if (description.flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL | AV_PIX_FMT_FLAG_BAYER)) {
    if (has_alpha(description)) return deep ? AV_PIX_FMT_GBRAP16LE : AV_PIX_FMT_GBRAP;
    return deep ? AV_PIX_FMT_GBRP16LE : AV_PIX_FMT_GBRP;
  }
  AVPixelFormat best = kYuvPlanes[0];
  for (const AVPixelFormat candidate : kYuvPlanes) {
    best = av_find_best_pix_fmt_of_2(best, candidate, format, has_alpha(description), nullptr);
  }
  return best;
}

bool is_grey(const AVPixFmtDescriptor& description) { return description.nb_components < 3; }

bool is_full_range(const AVFrame& frame, const AVPixFmtDescriptor& description) {
  if (frame.color_range != AVCOL_RANGE_UNSPECIFIED) return frame.color_range == AVCOL_RANGE_JPEG;
  return is_grey(description) || std::strncmp(description.name, "yuvj", 4) == 0;
}

bool is_hdr(const AVFrame& frame) {
  return frame.color_trc == AVCOL_TRC_SMPTE2084 || frame.color_trc == AVCOL_TRC_ARIB_STD_B67;
}

// Those that have to be converted; else 0.
int wide_primaries_of(const AVFrame& frame) {
  switch (frame.color_primaries) {
    case AVCOL_PRI_BT2020:
      return kPrimariesBt2020;
    case AVCOL_PRI_SMPTE431:
      return kPrimariesDciP3;
    case AVCOL_PRI_SMPTE432:
      return kPrimariesDisplayP3;
    default:
      return 0;
  }
}

int matrix_of(const AVFrame& frame, int untagged_matrix) {
  switch (frame.colorspace) {
    case AVCOL_SPC_BT709:
    case AVCOL_SPC_FCC:
    case AVCOL_SPC_BT470BG:
    case AVCOL_SPC_SMPTE170M:
    case AVCOL_SPC_SMPTE240M:
    case AVCOL_SPC_YCGCO:
    case AVCOL_SPC_BT2020_NCL:
      return frame.colorspace;
    default:
      return untagged_matrix ? untagged_matrix : guess_matrix(frame.width, frame.height);
  }
}

// Rows of `width` samples into a plane that may be wider and higher, its edge repeated.
void copy_plane(const uint8_t* from, ptrdiff_t from_stride, int width, int height, uint8_t* to,
                ptrdiff_t to_stride, int to_width, int to_height, int sample_bytes) {
  for (int y = 0; y < to_height; ++y) {
    uint8_t* row = to + y * to_stride;
    std::memcpy(row, from + std::min(y, height - 1) * from_stride,
                static_cast<size_t>(width) * sample_bytes);
    for (int x = width; x < to_width; ++x) {
      std::memcpy(row + x * sample_bytes, row + (width - 1) * sample_bytes,
                  static_cast<size_t>(sample_bytes));
    }
  }
}

void fill_plane(uint8_t* to, ptrdiff_t stride, int width, int height, int value, int sample_bytes) {
  for (int y = 0; y < height; ++y) {
    uint8_t* row = to + y * stride;
    if (sample_bytes == 1) {
      std::memset(row, value, static_cast<size_t>(width));
    } else {
      std::fill_n(reinterpret_cast<uint16_t*>(row), width, static_cast<uint16_t>(value));
    }
  }
}

void multiply_by_alpha(const uint8_t* alpha, ptrdiff_t stride, int depth, int width, int height,
                       uint8_t* rgb_HWC) {
  const int most = (1 << depth) - 1;
  for (int y = 0; y < height; ++y) {
    const uint8_t* row = alpha + y * stride;
    for (int x = 0; x < width; ++x) {
      const int64_t a = depth > 8 ? reinterpret_cast<const uint16_t*>(row)[x] : row[x];
      for (int c = 0; c < 3; ++c, ++rgb_HWC)
        *rgb_HWC = static_cast<uint8_t>((*rgb_HWC * a + most / 2) / most);
    }
  }
}

}  // namespace

const AVFrame& FrameToRgb::lay_out_in_planes(const AVFrame& frame) {
  const auto format = static_cast<AVPixelFormat>(frame.format);
  const AVPixFmtDescriptor* description = av_pix_fmt_desc_get(format);
  if (!description || description->flags & AV_PIX_FMT_FLAG_HWACCEL) {
    fail(ErrorKind::Input, "frames of pixel format {} cannot be shown",
         description ? description->name : "none");
  }
  if (is_planar(*description)) return frame;
  const AVPixelFormat target = planar_equivalent(format, *description);
  sws_.reset(sws_getCachedContext(sws_.release(), frame.width, frame.height, format, frame.width,
                                  frame.height, target, SWS_POINT | SWS_ACCURATE_RND, nullptr,
                                  nullptr, nullptr));
  if (!sws_) fail(ErrorKind::Input, "frames of pixel format {} cannot be shown", description->name);
  // The same matrix and range on both sides: samples move, their values stay.
  const int* matrix = sws_getCoefficients(SWS_CS_DEFAULT);
  const int full = is_full_range(frame, *description);
  sws_setColorspaceDetails(sws_.get(), matrix, full, matrix, full, 0, 1 << 16, 1 << 16);
  planar_frame_ = av::make_frame(frame.width, frame.height, target);
  sws_scale(sws_.get(), frame.data, frame.linesize, 0, frame.height, planar_frame_->data,
            planar_frame_->linesize);
  planar_frame_->colorspace = frame.colorspace;
  planar_frame_->color_range = full ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
  planar_frame_->chroma_location = frame.chroma_location;
  planar_frame_->color_trc = frame.color_trc;
  planar_frame_->color_primaries = frame.color_primaries;
  return *planar_frame_;
}

PlaneFormat FrameToRgb::format_of(const AVFrame& frame) const {
  const AVPixFmtDescriptor& description =
      *av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame.format));
  PlaneFormat format;
  format.depth = description.comp[0].depth;
  format.log2_chroma_w = is_grey(description) ? 0 : description.log2_chroma_w;
  format.log2_chroma_h = is_grey(description) ? 0 : description.log2_chroma_h;
  format.width = round_up(frame.width, format.log2_chroma_w);
  format.height = round_up(frame.height, format.log2_chroma_h);
  format.primaries = wide_primaries_of(frame);
  if (is_hdr(frame)) {
    format.transfer = frame.color_trc == AVCOL_TRC_SMPTE2084 ? kTransferPq : kTransferHlg;
    if (format.primaries == 0) {
      format.primaries =
          frame.color_primaries == AVCOL_PRI_BT709 ? kPrimariesBt709 : kPrimariesBt2020;
    }
  } else if (format.primaries != 0) {
    format.transfer = frame.color_trc == AVCOL_TRC_IEC61966_2_1 ? kTransferSrgb : kTransferBt709;
  }
  if (description.flags & AV_PIX_FMT_FLAG_RGB) return format;
  format.family = ColorFamily::Yuv;
  format.matrix = matrix_of(frame, untagged_matrix_);
  format.full_range = is_full_range(frame, description);
  if (frame.chroma_location != AVCHROMA_LOC_UNSPECIFIED) {
    format.chroma_location = frame.chroma_location - AVCHROMA_LOC_LEFT;
  } else if (format.full_range && format.log2_chroma_h > 0) {
    format.chroma_location = 1;  // centred, as JPEG has it
  }
  return format;
}

void FrameToRgb::operator()(const AVFrame& decoded, uint8_t* rgb_HWC) {
  const AVFrame& frame = lay_out_in_planes(decoded);
  const AVPixFmtDescriptor& description =
      *av_pix_fmt_desc_get(static_cast<AVPixelFormat>(frame.format));
  const PlaneFormat format = format_of(frame);
  if (!source_ || format != source_format_) {
    PlaneFormat rgb;
    rgb.width = format.width;
    rgb.height = format.height;
    if (format.transfer != 0) {
      // The curves of SDR are not told apart; that of the source is kept.
      rgb.transfer = is_hdr(frame) ? kTransferBt709 : format.transfer;
      rgb.primaries = kPrimariesBt709;
    }
    source_ = std::make_unique<Planes>(format);
    rgb_ = std::make_unique<Planes>(rgb);
    converter_ = std::make_unique<PlaneConverter>(format, rgb);
    source_format_ = format;
  }
  for (int c = 0; c < 3; ++c) {
    uint8_t* to = source_->view().data[c];
    const ptrdiff_t stride = source_->view().stride[c];
    if (c > 0 && is_grey(description)) {
      fill_plane(to, stride, format.width, format.height, 1 << (format.depth - 1),
                 format.sample_bytes());
      continue;
    }
    const int plane = description.comp[c].plane;
    const int log2_w = c == 0 ? 0 : format.log2_chroma_w,
              log2_h = c == 0 ? 0 : format.log2_chroma_h;
    copy_plane(frame.data[plane], frame.linesize[plane], round_up(frame.width, log2_w) >> log2_w,
               round_up(frame.height, log2_h) >> log2_h, to, stride, format.plane_width(c),
               format.plane_height(c), format.sample_bytes());
  }
  (*converter_)(source_->view(), rgb_->view());
  join_rgb(rgb_->view(), frame.width, frame.height, rgb_HWC);
  if (has_alpha(description)) {
    const int plane = description.comp[3].plane;
    multiply_by_alpha(frame.data[plane], frame.linesize[plane], format.depth, frame.width,
                      frame.height, rgb_HWC);
  }
}

}  // namespace sora
