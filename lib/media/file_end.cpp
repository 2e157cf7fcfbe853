// Matroska: RFC 8794 section 4 (lengths of elements) and RFC 9559 section 5.1. GIF: GIF89a
// specification, section 27. Ogg: RFC 3533, section 6.
#include "lib/media/file_end.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

namespace sora {
namespace {

constexpr std::string_view kEbmlId("\x1A\x45\xDF\xA3", 4);
constexpr std::string_view kSegmentId("\x18\x53\x80\x67", 4);
constexpr char kGifTrailer = 0x3B;
constexpr int64_t kOggHeaderBytes = 27;
constexpr int64_t kMaxOggPageBytes = kOggHeaderBytes + 255 + 255 * 255;
constexpr char kOggEndOfStream = 0x04;

std::string bytes_at(int descriptor, int64_t position, int64_t count) {
  std::string bytes(static_cast<size_t>(count), '\0');
  const ssize_t got = ::pread(descriptor, bytes.data(), bytes.size(), position);
  bytes.resize(static_cast<size_t>(std::max<ssize_t>(got, 0)));
  return bytes;
}

struct Element {
  int64_t begin = 0;              // of its data
  std::optional<int64_t> length;  // nothing: not known when it was written
};

// The element with this ID at a position; nothing where there is none.
std::optional<Element> element_at(int descriptor, int64_t position, std::string_view id) {
  const std::string head = bytes_at(descriptor, position, 12);
  if (head.size() < 5 || !head.starts_with(id)) return std::nullopt;
  const auto first = static_cast<uint8_t>(head[4]);
  int width = 1;  // bytes of the length: one more than the zero bits that it begins with
  while (width <= 8 && !(first & (0x80 >> (width - 1)))) ++width;
  if (width > 8 || head.size() < 4U + width) return std::nullopt;
  int64_t length = first & (0x7F >> (width - 1));
  for (int i = 1; i < width; ++i) length = length << 8 | static_cast<uint8_t>(head[4 + i]);
  const int64_t unknown = (int64_t{1} << (7 * width)) - 1;
  return Element{position + 4 + width,
                 length == unknown ? std::nullopt : std::optional<int64_t>(length)};
}

std::string missing_of_matroska(int descriptor, int64_t size) {
  const std::optional<Element> header = element_at(descriptor, 0, kEbmlId);
  if (!header || !header->length || *header->length > size) return "";
  const std::optional<Element> segment =
      element_at(descriptor, header->begin + *header->length, kSegmentId);
  if (!segment || !segment->length || *segment->length <= size - segment->begin) return "";
  return fmt::format("its segment of {} bytes begins at byte {}", *segment->length, segment->begin);
}

// Zero bytes may follow the trailer, where a disk or a recorder filled a block up.
std::string missing_of_gif(int descriptor, int64_t size) {
  constexpr int64_t kChunk = 4096;
  for (int64_t end = size; end > 0; end -= kChunk) {
    const int64_t begin = std::max<int64_t>(end - kChunk, 0);
    const std::string bytes = bytes_at(descriptor, begin, end - begin);
    const size_t last = bytes.find_last_not_of('\0');
    if (last == std::string::npos) continue;
    return bytes[last] == kGifTrailer ? "" : "it does not end with a GIF's trailer, the byte 3B";
  }
  return "it holds zero bytes alone";
}

std::string missing_of_ogg(int descriptor, int64_t size) {
  const int64_t begin = std::max<int64_t>(size - kMaxOggPageBytes, 0);
  const std::string bytes = bytes_at(descriptor, begin, size - begin);
  const std::string_view capture("OggS\0", 5);
  const size_t page = bytes.rfind(capture);
  if (page == std::string::npos || bytes.size() < page + kOggHeaderBytes)
    return "it ends within a page of Ogg";
  const size_t num_segments = static_cast<uint8_t>(bytes[page + kOggHeaderBytes - 1]);
  size_t end = page + kOggHeaderBytes + num_segments;
  for (size_t i = 0; i < num_segments; ++i)
    end += static_cast<uint8_t>(bytes[std::min(page + kOggHeaderBytes + i, bytes.size() - 1)]);
  if (end > bytes.size()) return "it ends within a page of Ogg";
  return bytes[page + 5] & kOggEndOfStream ? "" : "its last page is not marked as a stream's end";
}

}  // namespace

std::string missing_end(std::string_view format, int descriptor, int64_t size) {
  if (format.starts_with("matroska")) return missing_of_matroska(descriptor, size);
  if (format == "gif") return missing_of_gif(descriptor, size);
  if (format == "ogg") return missing_of_ogg(descriptor, size);
  return "";
}

}  // namespace sora
