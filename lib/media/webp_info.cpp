// Google's "WebP Container Specification": RIFF header, VP8X with a flag for animation, then one
// ANMF chunk a frame.
#include "lib/media/webp_info.h"

#include <array>
#include <cmath>
#include <cstring>
#include <fstream>

#include "lib/core/error.h"

namespace sora {
namespace {

constexpr int kAnimationFlag = 0x02;

int64_t little_endian(const unsigned char* bytes, int count) {
  int64_t value = 0;
  for (int i = count - 1; i >= 0; --i) value = value << 8 | bytes[i];
  return value;
}

}  // namespace

bool describe_animated_webp(const std::string& path, FileInfo& info) {
  std::ifstream file(path, std::ios::binary);
  std::array<unsigned char, 30> head{};
  if (!file.read(reinterpret_cast<char*>(head.data()), head.size())) return false;
  const bool animated = std::memcmp(head.data(), "RIFF", 4) == 0 &&
                        std::memcmp(&head[8], "WEBPVP8X", 8) == 0 && (head[20] & kAnimationFlag);
  if (!animated) return false;
  info.container = "webp";
  info.codec = "webp";
  info.pixel_format = "bgra";
  info.width = little_endian(&head[24], 3) + 1;
  info.height = little_endian(&head[27], 3) + 1;
  info.color_range = info.color_space = info.color_transfer = info.color_primaries = "unknown";

  int64_t duration_ms = 0;
  for (int64_t position = 12;;) {
    std::array<unsigned char, 24> chunk{};
    file.clear();
    file.seekg(position);
    file.read(reinterpret_cast<char*>(chunk.data()), chunk.size());
    if (file.gcount() < 8) break;
    const int64_t size = little_endian(&chunk[4], 4);
    if (std::memcmp(chunk.data(), "ANMF", 4) == 0) {
      if (file.gcount() < 24)
        fail(ErrorKind::Input, "{} is cut off in its frame {}", path, info.num_frames + 1);
      ++info.num_frames;
      duration_ms += little_endian(&chunk[20], 3);
    }
    position += 8 + size + size % 2;
    if (position > info.size_bytes) {
      fail(ErrorKind::Input, "{} is cut off: it has {} bytes and a chunk goes on to byte {}", path,
           info.size_bytes, position);
    }
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
