#include "lib/media/image.h"

// Of stb_image only the two decoders that are needed, and no size that its 32-bit sums could
// overflow with.
#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_NO_STDIO
#define STBI_NO_LINEAR
#define STBI_MAX_DIMENSIONS 16384
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

#include <cstring>
#include <filesystem>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/media/frame_sink.h"
#include "lib/media/jpeg_header.h"
#include "lib/media/orientation.h"
#include "lib/media/video_reader.h"

namespace sora {
namespace {

constexpr std::string_view kPngSignature("\x89PNG\r\n\x1a\n", 8);
constexpr std::string_view kJpegSignature("\xff\xd8\xff", 3);

void check_size(const std::string& path, int64_t width, int64_t height) {
  if (width > kMaxImageSide || height > kMaxImageSide || width * height > kMaxImagePixels) {
    fail(ErrorKind::Input, "{} is {}x{} pixels large; up to {} pixels and {} to a side can be read",
         path, width, height, kMaxImagePixels, kMaxImageSide);
  }
}

// A PNG may have a transparent colour, which stb does not count as a channel of its own.
at::Tensor decode_by_stb(const std::string& path, const std::string& bytes, bool may_have_alpha) {
  const auto* data = reinterpret_cast<const stbi_uc*>(bytes.data());
  const int size = static_cast<int>(bytes.size());
  int width = 0, height = 0, channels = 0;
  const auto broken = [&] {
    fail(ErrorKind::Input, "{} cannot be decoded: {}", path, stbi_failure_reason());
  };
  if (!stbi_info_from_memory(data, size, &width, &height, &channels)) broken();
  check_size(path, width, height);
  const int wanted = may_have_alpha ? 4 : 3;
  const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
      stbi_load_from_memory(data, size, &width, &height, &channels, wanted), stbi_image_free);
  if (!pixels) broken();
  const at::Tensor decoded = at::from_blob(pixels.get(), {height, width, wanted}, at::kByte);
  const at::Tensor color = decoded.narrow(2, 0, 3);
  const at::Tensor alpha = decoded.narrow(2, wanted - 1, 1);
  const bool is_opaque = !may_have_alpha || alpha.min().item<int>() == 255;
  if (is_opaque) return color.clone(at::MemoryFormat::Contiguous);
  return at::floor_divide(color.to(at::kInt) * alpha.to(at::kInt) + 127, 255)
      .to(at::kByte)
      .contiguous();
}

}  // namespace

at::Tensor read_image(const std::string& path) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    fail(ErrorKind::Input, "{} is a folder, expected an image", path);
  }
  const std::string bytes = read_file(path, kMaxImageFileBytes);
  if (bytes.starts_with(kPngSignature)) return decode_by_stb(path, bytes, true);
  if (bytes.starts_with(kJpegSignature)) {
    const JpegHeader header = read_jpeg_header(path, bytes);
    return apply(orientation_of_exif(header.orientation), decode_by_stb(path, bytes, false));
  }
  ReadOptions options;
  options.max_pixels = kMaxImagePixels;
  VideoReader reader(path, options);
  const at::Tensor frame = reader.read(1);
  if (frame.size(0) == 0) fail(ErrorKind::Input, "{} holds no picture", path);
  return frame[0];
}

void write_png(const std::string& path, const at::Tensor& frame_HWC, bool force) {
  const bool is_picture =
      frame_HWC.dim() == 3 && frame_HWC.size(2) == 3 && frame_HWC.scalar_type() == at::kByte;
  if (!is_picture) fail(ErrorKind::Internal, "{}: a picture is bytes of [H, W, 3]", path);
  SinkOptions options{.format = format_for("frame.png", ""),
                      .path = path,
                      .width = frame_HWC.size(1),
                      .height = frame_HWC.size(0),
                      .fps = Rational(1),
                      .quality = std::nullopt,
                      .force = force,
                      .comment = "",
                      .title = ""};
  const std::unique_ptr<FrameSink> sink = open_sequence(options);
  sink->write(frame_HWC.contiguous().const_data_ptr<uint8_t>());
  sink->finish();
}

}  // namespace sora
