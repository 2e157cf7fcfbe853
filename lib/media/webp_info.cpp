// Google's "WebP Container Specification": RIFF header, VP8X with a flag for animation, then one
// ANMF chunk a frame.
#include "lib/media/webp_info.h"

#include <cmath>
#include <fstream>
#include <string_view>

#include "lib/core/error.h"
#include "lib/media/byte_order.h"

namespace sora {
namespace {

constexpr char kAnimationFlag = 0x02;

int64_t number(std::string_view bytes, size_t position, size_t count) {
  return static_cast<int64_t>(little_endian(bytes.substr(position, count)));
}

// Up to `count` bytes; fewer at the end.
std::string bytes_at(std::ifstream& file, int64_t position, int64_t count) {
  std::string bytes(static_cast<size_t>(count), '\0');
  file.clear();
  file.seekg(position);
  file.read(bytes.data(), count);
  bytes.resize(static_cast<size_t>(file.gcount()));
  return bytes;
}

}  // namespace

bool describe_animated_webp(const std::string& path, FileInfo& info) {
  std::ifstream file(path, std::ios::binary);
  const std::string head = bytes_at(file, 0, 30);
  const bool animated = head.size() == 30 && head.starts_with("RIFF") &&
                        head.substr(8, 8) == "WEBPVP8X" && (head[20] & kAnimationFlag);
  if (!animated) return false;
  info.container = "webp";
  info.codec = "webp";
  info.pixel_format = "bgra";
  info.width = number(head, 24, 3) + 1;
  info.height = number(head, 27, 3) + 1;
  info.color_range = info.color_space = info.color_transfer = info.color_primaries = "unknown";

  // What follows the RIFF chunk is none of the picture's. A length of 0 is not filled in: its
  // writer could not go back.
  const int64_t length = number(head, 4, 4);
  const int64_t end = length == 0 ? info.size_bytes : 8 + length;
  const auto check_end = [&](int64_t wanted) {
    if (wanted <= info.size_bytes) return;
    fail(ErrorKind::Input, "{} is cut off: it has {} bytes and a chunk goes on to byte {}", path,
         info.size_bytes, wanted);
  };
  check_end(end);
  int64_t duration_ms = 0;
  for (int64_t position = 12; position + 8 <= end;) {
    const std::string chunk = bytes_at(file, position, 24);
    if (chunk.size() < 8) break;
    const int64_t size = number(chunk, 4, 4);
    if (chunk.starts_with("ANMF")) {
      if (chunk.size() < 24)
        fail(ErrorKind::Input, "{} is cut off in its frame {}", path, info.num_frames + 1);
      ++info.num_frames;
      duration_ms += number(chunk, 20, 3);
    }
    position += 8 + size + size % 2;
    check_end(position);
  }
  info.duration_s = double(duration_ms) / 1000;
  // Times are whole milliseconds; the mean gives back a rate that is a whole number of frames a
  // second.
  if (duration_ms > 0) {
    const double fps = double(info.num_frames) * 1000 / double(duration_ms);
    const bool whole = std::abs(fps - std::round(fps)) < 0.01;
    info.fps = whole ? Rational(std::llround(fps)) : Rational(info.num_frames * 1000, duration_ms);
  }
  return true;
}

}  // namespace sora
