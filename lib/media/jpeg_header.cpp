#include "lib/media/jpeg_header.h"

#include <cstdint>
#include <string_view>

#include "lib/core/error.h"
#include "lib/media/byte_order.h"

namespace sora {
namespace {

constexpr int kStartOfScan = 0xda;
constexpr int kApp1 = 0xe1;
constexpr int kOrientationTag = 0x0112;
constexpr std::string_view kExif("Exif\0\0", 6);
constexpr std::string_view kEndOfImage("\xff\xd9", 2);

uint32_t number(std::string_view bytes, size_t position, size_t count, bool little) {
  const std::string_view digits = bytes.substr(position, count);
  return static_cast<uint32_t>(little ? little_endian(digits) : big_endian(digits));
}

// `tiff` is the segment after its "Exif" name. Whatever is odd about it means no orientation.
int orientation_in(std::string_view tiff) {
  if (tiff.size() < 8) return 1;
  const bool little = tiff.starts_with("II");
  if (!little && !tiff.starts_with("MM")) return 1;
  const size_t directory = number(tiff, 4, 4, little);
  if (directory > tiff.size() - 2 || tiff.size() < 2) return 1;
  const size_t count = number(tiff, directory, 2, little);
  for (size_t i = 0; i < count; ++i) {
    const size_t entry = directory + 2 + 12 * i;
    if (entry + 12 > tiff.size()) return 1;
    if (number(tiff, entry, 2, little) != kOrientationTag) continue;
    const uint32_t value = number(tiff, entry + 8, 2, little);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

}  // namespace

JpegHeader read_jpeg_header(const std::string& path, const std::string& bytes) {
  JpegHeader header;
  const std::string_view all(bytes);
  size_t position = 2;
  for (;;) {
    while (position < all.size() && all[position] == '\xff')
      ++position;  // a marker may be padded with more of these
    if (position + 3 > all.size())
      fail(ErrorKind::Input, "{} is cut off before its picture begins", path);
    const int marker = static_cast<uint8_t>(all[position]);
    const size_t length = number(all, position + 1, 2, false);
    if (length < 2 || position + 1 + length > all.size()) {
      fail(ErrorKind::Input, "{} is damaged or cut off in its header", path);
    }
    const std::string_view segment = all.substr(position + 3, length - 2);
    position += 1 + length;
    if (marker == kApp1 && segment.starts_with(kExif))
      header.orientation = orientation_in(segment.substr(6));
    if (marker == kStartOfScan) break;
    if (position >= all.size() || all[position] != '\xff') {
      fail(ErrorKind::Input, "{} is damaged in its header", path);
    }
  }
  if (all.find(kEndOfImage, position) == std::string_view::npos) {
    fail(ErrorKind::Input, "{} is cut off: the picture has no end", path);
  }
  return header;
}

}  // namespace sora
