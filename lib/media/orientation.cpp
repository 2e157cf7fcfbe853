#include "lib/media/orientation.h"

#include <cmath>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "lib/core/json_file.h"
#include "lib/media/image.h"
#include "lib/media/jpeg_header.h"

namespace sora {
namespace {

// A scaler that rounds a side to whole pixels keeps the picture's aspect by pixels that are not
// quite square: 426x240 and 854x480 of a 16:9 video have 640:639 and 1280:1281. No format means
// pixels so nearly square.
constexpr double kRoundedAspect = 0.01;

constexpr std::string_view kJpegFormat = "jpeg_pipe";

// The matrix takes (x, y) to (a x + c y, b x + d y), in 16.16 fixed point: a at 0, b at 1, c at 3,
// d at 4.
Orientation orientation_of_matrix(const AVStream& stream) {
  const int32_t* matrix = av::display_matrix(stream);
  if (!matrix) return {};
  const int64_t a = matrix[0], b = matrix[1], c = matrix[3], d = matrix[4];
  if (b == 0 && c == 0) return {.transposed = false, .mirrored_x = a < 0, .mirrored_y = d < 0};
  if (a == 0 && d == 0) return {.transposed = true, .mirrored_x = c < 0, .mirrored_y = b < 0};
  return {};
}

}  // namespace

Orientation orientation_of(MediaInput& input, const AVStream& stream) {
  if (input.context().iformat->name != kJpegFormat) return orientation_of_matrix(stream);
  const std::string bytes = read_file(input.path(), kMaxImageFileBytes);
  return orientation_of_exif(read_jpeg_header(input.path(), bytes).orientation);
}

Orientation orientation_of_exif(int value) {
  switch (value) {
    case 2:
      return {false, true, false};
    case 3:
      return {false, true, true};
    case 4:
      return {false, false, true};
    case 5:
      return {true, false, false};
    case 6:
      return {true, true, false};
    case 7:
      return {true, true, true};
    case 8:
      return {true, false, true};
    default:
      return {};
  }
}

at::Tensor apply(const Orientation& orientation, const at::Tensor& picture_HWC) {
  at::Tensor picture = orientation.transposed ? picture_HWC.transpose(0, 1) : picture_HWC;
  std::vector<int64_t> flips;
  if (orientation.mirrored_y) flips.push_back(0);
  if (orientation.mirrored_x) flips.push_back(1);
  if (!flips.empty()) picture = picture.flip(flips);
  return picture.contiguous();
}

int degrees(const Orientation& orientation) {
  if (orientation.transposed) return orientation.mirrored_x ? 90 : 270;
  return orientation.mirrored_x && orientation.mirrored_y ? 180 : 0;
}

int64_t square_pixel_width(int64_t width, AVRational sample_aspect) {
  const double aspect = sample_aspect.den > 0 ? av_q2d(sample_aspect) : 0;
  if (!(aspect > 1.0 / 16 && aspect < 16) || std::abs(aspect - 1) < kRoundedAspect) return width;
  return std::max<int64_t>(std::llround(double(width) * aspect), 1);
}

}  // namespace sora
