#include "lib/media/planes.h"

#include <zimg.h>

#include <cmath>
#include <cstdlib>
#include <cstring>

#include "lib/core/error.h"

namespace sora {
namespace {

constexpr size_t kAlignment = 64;
// Of HDR, the luminance in cd/m2 that becomes white: that of paper and captions (ITU-R BT.2408).
// What is brighter is clipped.
constexpr double kHdrWhite = 203;

size_t aligned(size_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

[[noreturn]] void fail_zimg(const char* action) {
  char message[256] = {};
  const zimg_error_code_e code = zimg_get_last_error(message, sizeof(message));
  zimg_clear_last_error();
  if (code == ZIMG_ERROR_OUT_OF_MEMORY) fail(ErrorKind::Memory, "no memory to {}", action);
  fail(ErrorKind::Internal, "zimg cannot {}: {}", action, message);
}

zimg_image_format to_zimg(const PlaneFormat& format) {
  zimg_image_format result;
  zimg_image_format_default(&result, ZIMG_API_VERSION);
  result.width = static_cast<unsigned>(format.width);
  result.height = static_cast<unsigned>(format.height);
  result.pixel_type = format.depth > 8 ? ZIMG_PIXEL_WORD : ZIMG_PIXEL_BYTE;
  result.depth = static_cast<unsigned>(format.depth);
  result.pixel_range = format.full_range ? ZIMG_RANGE_FULL : ZIMG_RANGE_LIMITED;
  if (format.transfer != 0) {
    result.transfer_characteristics = static_cast<zimg_transfer_characteristics_e>(format.transfer);
    result.color_primaries = static_cast<zimg_color_primaries_e>(format.primaries);
  }
  if (format.family == ColorFamily::Rgb) {
    result.color_family = ZIMG_COLOR_RGB;
    result.matrix_coefficients = ZIMG_MATRIX_RGB;
  } else {
    result.color_family = ZIMG_COLOR_YUV;
    result.matrix_coefficients = static_cast<zimg_matrix_coefficients_e>(format.matrix);
    result.subsample_w = static_cast<unsigned>(format.log2_chroma_w);
    result.subsample_h = static_cast<unsigned>(format.log2_chroma_h);
    result.chroma_location = static_cast<zimg_chroma_location_e>(format.chroma_location);
  }
  return result;
}

zimg_resample_filter_e to_zimg(ResizeFilter filter) {
  switch (filter) {
    case ResizeFilter::Lanczos:
      return ZIMG_RESIZE_LANCZOS;
    case ResizeFilter::Spline36:
      return ZIMG_RESIZE_SPLINE36;
  }
  return ZIMG_RESIZE_SPLINE36;
}

uint8_t* allocate(size_t bytes) {
  void* memory = std::aligned_alloc(kAlignment, aligned(bytes));
  if (!memory) fail(ErrorKind::Memory, "no memory for a picture of {} bytes", bytes);
  return static_cast<uint8_t*>(memory);
}

}  // namespace

int guess_matrix(int64_t width, int64_t height) {
  return width >= 1280 || height > 576 ? kMatrixBt709 : kMatrixBt601;
}

void Planes::Free::operator()(uint8_t* memory) const { std::free(memory); }

Planes::Planes(const PlaneFormat& format) : format_(format) {
  std::array<size_t, 4> offset{};
  for (int plane = 0; plane < 3; ++plane) {
    const size_t stride =
        aligned(static_cast<size_t>(format.plane_width(plane)) * format.sample_bytes());
    view_.stride[plane] = static_cast<ptrdiff_t>(stride);
    offset[plane + 1] = offset[plane] + stride * format.plane_height(plane);
  }
  memory_.reset(allocate(offset[3]));
  for (int plane = 0; plane < 3; ++plane) view_.data[plane] = memory_.get() + offset[plane];
}

struct PlaneConverter::Graph {
  ~Graph() {
    zimg_filter_graph_free(filters);
    std::free(scratch);
  }
  zimg_filter_graph* filters = nullptr;
  uint8_t* scratch = nullptr;
};

PlaneConverter::PlaneConverter(const PlaneFormat& source, const PlaneFormat& target,
                               ResizeFilter filter)
    : PlaneConverter(source, {0, 0, double(source.width), double(source.height)}, target, filter) {}

PlaneConverter::PlaneConverter(const PlaneFormat& source, const Region& part,
                               const PlaneFormat& target, ResizeFilter filter)
    : graph_(std::make_unique<Graph>()) {
  zimg_image_format from = to_zimg(source);
  from.active_region.left = part.left;
  from.active_region.top = part.top;
  from.active_region.width = part.width;
  from.active_region.height = part.height;
  const zimg_image_format to = to_zimg(target);
  zimg_graph_builder_params parameters;
  zimg_graph_builder_params_default(&parameters, ZIMG_API_VERSION);
  parameters.resample_filter = to_zimg(filter);
  // Chroma is resampled even where the size stays; ringing there shows as coloured fringes, so it
  // is kept bicubic.
  parameters.resample_filter_uv = ZIMG_RESIZE_BICUBIC;
  if (source.transfer != target.transfer) parameters.nominal_peak_luminance = kHdrWhite;
  if (filter == ResizeFilter::Lanczos) parameters.filter_param_a = 3;
  graph_->filters = zimg_filter_graph_build(&from, &to, &parameters);
  if (!graph_->filters) fail_zimg("convert the picture's format");
  size_t scratch_bytes = 0;
  if (zimg_filter_graph_get_tmp_size(graph_->filters, &scratch_bytes) != ZIMG_ERROR_SUCCESS) {
    fail_zimg("convert the picture's format");
  }
  graph_->scratch = allocate(scratch_bytes + 1);
}

PlaneConverter::~PlaneConverter() = default;
PlaneConverter::PlaneConverter(PlaneConverter&&) noexcept = default;
PlaneConverter& PlaneConverter::operator=(PlaneConverter&&) noexcept = default;

void PlaneConverter::operator()(const PlaneView& source, const PlaneView& target) {
  zimg_image_buffer_const from{};
  zimg_image_buffer to{};
  from.version = to.version = ZIMG_API_VERSION;
  for (int plane = 0; plane < 3; ++plane) {
    from.plane[plane] = {source.data[plane], source.stride[plane], ZIMG_BUFFER_MAX};
    to.plane[plane] = {target.data[plane], target.stride[plane], ZIMG_BUFFER_MAX};
  }
  if (zimg_filter_graph_process(graph_->filters, &from, &to, graph_->scratch, nullptr, nullptr,
                                nullptr, nullptr) != ZIMG_ERROR_SUCCESS) {
    fail_zimg("convert a picture");
  }
}

void split_rgb(const uint8_t* rgb_HWC, int64_t width, int64_t height, const Planes& planes) {
  const PlaneView& view = planes.view();
  for (int64_t y = 0; y < planes.format().height; ++y) {
    const uint8_t* pixel = rgb_HWC + std::min(y, height - 1) * width * 3;
    uint8_t* red = view.data[0] + y * view.stride[0];
    uint8_t* green = view.data[1] + y * view.stride[1];
    uint8_t* blue = view.data[2] + y * view.stride[2];
    for (int64_t x = 0; x < width; ++x) {
      red[x] = pixel[3 * x];
      green[x] = pixel[3 * x + 1];
      blue[x] = pixel[3 * x + 2];
    }
    for (uint8_t* row : {red, green, blue}) {
      std::memset(row + width, row[width - 1], static_cast<size_t>(planes.format().width - width));
    }
  }
}

void join_rgb(const PlaneView& planes, int64_t width, int64_t height, uint8_t* rgb_HWC) {
  for (int64_t y = 0; y < height; ++y) {
    const uint8_t* red = planes.data[0] + y * planes.stride[0];
    const uint8_t* green = planes.data[1] + y * planes.stride[1];
    const uint8_t* blue = planes.data[2] + y * planes.stride[2];
    uint8_t* pixel = rgb_HWC + y * width * 3;
    for (int64_t x = 0; x < width; ++x) {
      pixel[3 * x] = red[x];
      pixel[3 * x + 1] = green[x];
      pixel[3 * x + 2] = blue[x];
    }
  }
}

}  // namespace sora
