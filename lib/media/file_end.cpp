// Matroska: RFC 8794 section 4 (lengths of elements) and RFC 9559 section 5.1. GIF: GIF89a
// specification, section 27. Ogg: RFC 3533, section 6. AVI: Multimedia Programming Interface and
// Data Specifications 1.0 (RIFF). ASF: Advanced Systems Format Specification, section 3.2. FLV:
// Adobe Flash Video File Format Specification 10.1, annex E.
#include "lib/media/file_end.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "lib/media/byte_order.h"

namespace sora {
namespace {

constexpr std::string_view kEbmlId("\x1A\x45\xDF\xA3", 4);
constexpr std::string_view kSegmentId("\x18\x53\x80\x67", 4);
constexpr char kGifTrailer = 0x3B, kGifExtension = 0x21, kGifImage = 0x2C;
constexpr int64_t kGifHeaderBytes = 13, kGifImageBytes = 9;  // without the tables of colours
constexpr int64_t kOggHeaderBytes = 27;
constexpr int64_t kMaxOggPageBytes = kOggHeaderBytes + 255 + 255 * 255;
constexpr char kOggEndOfStream = 0x04;
constexpr std::string_view kAsfHeaderId(
    "\x30\x26\xB2\x75\x8E\x66\xCF\x11\xA6\xD9\x00\xAA\x00\x62\xCE\x6C", 16);
constexpr std::string_view kAsfFilePropertiesId(
    "\xA1\xDC\xAB\x8C\x47\xA9\xCF\x11\x8E\xE4\x00\xC0\x0C\x20\x53\x65", 16);
constexpr int64_t kAsfHeaderBytes = 30;
constexpr size_t kAsfFileSizeAt = 40, kAsfFlagsAt = 88;
constexpr char kAsfBroadcast = 0x01;
constexpr int64_t kFlvTagHeaderBytes = 11;

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

// Bytes of a file one after another.
class ByteReader {
 public:
  explicit ByteReader(int descriptor) : descriptor_(descriptor) {}

  // Nothing after the end.
  std::optional<uint8_t> next() {
    if (position_ < begin_ || position_ >= begin_ + static_cast<int64_t>(bytes_.size())) {
      constexpr int64_t kChunk = 64 << 10;
      begin_ = position_;
      bytes_ = bytes_at(descriptor_, begin_, kChunk);
      if (bytes_.empty()) return std::nullopt;
    }
    return static_cast<uint8_t>(bytes_[static_cast<size_t>(position_++ - begin_)]);
  }
  void skip(int64_t count) { position_ += count; }

 private:
  int descriptor_;
  int64_t position_ = 0, begin_ = 0;
  std::string bytes_;  // from begin_ on
};

int64_t gif_color_table_bytes(uint8_t flags) {
  return flags & 0x80 ? int64_t{3} << ((flags & 0x07) + 1) : 0;
}

// Goes from block to block, as anything may follow the trailer. Zero bytes between blocks are
// passed over, as viewers do.
bool has_gif_trailer(int descriptor) {
  ByteReader reader(descriptor);
  const auto skip_sub_blocks = [&] {
    while (const uint8_t length = reader.next().value_or(0)) reader.skip(length);
  };
  reader.skip(kGifHeaderBytes - 3);
  const uint8_t screen_flags = reader.next().value_or(0);
  reader.skip(2 + gif_color_table_bytes(screen_flags));
  while (const std::optional<uint8_t> kind = reader.next()) {
    if (*kind == kGifTrailer) return true;
    if (*kind == kGifExtension) {
      reader.skip(1);
      skip_sub_blocks();
    } else if (*kind == kGifImage) {
      reader.skip(kGifImageBytes - 1);
      const uint8_t image_flags = reader.next().value_or(0);
      reader.skip(gif_color_table_bytes(image_flags) + 1);
      skip_sub_blocks();
    } else if (*kind != 0) {
      return false;
    }
  }
  return false;
}

std::string missing_of_gif(int descriptor, int64_t size) {
  // Most files end with the trailer and need no walk.
  if (bytes_at(descriptor, size - 1, 1) == std::string(1, kGifTrailer)) return "";
  return has_gif_trailer(descriptor) ? "" : "it lacks a GIF's trailer, the byte 3B";
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

// Large files are several chunks, one after another.
std::string missing_of_avi(int descriptor, int64_t size) {
  for (int64_t begin = 0;;) {
    const std::string head = bytes_at(descriptor, begin, 8);
    if (head.size() < 8 || !head.starts_with("RIFF")) return "";
    const auto length = static_cast<int64_t>(little_endian(head.substr(4)));
    // Not filled in: its writer could not go back.
    if (length == 0 || length == 0xFFFFFFFF) return "";
    // Some writers count the 8 bytes of the head.
    if (length > size - begin)
      return fmt::format("its RIFF chunk of {} bytes begins at byte {}", length, begin);
    begin += 8 + length + length % 2;
  }
}

std::string missing_of_asf(int descriptor, int64_t size) {
  const std::string header = bytes_at(descriptor, 0, kAsfHeaderBytes);
  if (!header.starts_with(kAsfHeaderId)) return "";
  const uint64_t header_end = little_endian(std::string_view(header).substr(16, 8));
  for (int64_t begin = kAsfHeaderBytes; static_cast<uint64_t>(begin) < header_end;) {
    const std::string object = bytes_at(descriptor, begin, kAsfFlagsAt + 4);
    if (object.size() < kAsfFlagsAt + 4) return "";
    if (object.starts_with(kAsfFilePropertiesId)) {
      const uint64_t whole = little_endian(std::string_view(object).substr(kAsfFileSizeAt, 8));
      const bool is_known = !(object[kAsfFlagsAt] & kAsfBroadcast);
      if (!is_known || whole <= static_cast<uint64_t>(size)) return "";
      return fmt::format("its header says {}", whole);
    }
    const uint64_t length = little_endian(std::string_view(object).substr(16, 8));
    if (length < 24 || length > static_cast<uint64_t>(size - begin)) return "";
    begin += static_cast<int64_t>(length);
  }
  return "";
}

bool is_flv_tag(std::string_view head) {
  constexpr int kSound = 8, kPictures = 9, kScript = 18;
  const int type = head.size() < kFlvTagHeaderBytes ? 0 : head[0] & 0x1F;
  return type == kSound || type == kPictures || type == kScript;
}

int64_t flv_tag_bytes(std::string_view head) {
  return kFlvTagHeaderBytes + static_cast<int64_t>(big_endian(head.substr(1, 3)));
}

// Each tag is followed by its size in 4 bytes. Not all writers get the last of these right, so that
// only a tag that goes on beyond the file counts, counted from the beginning.
std::string missing_of_flv(int descriptor, int64_t size) {
  const int64_t last =
      size - 4 - static_cast<int64_t>(big_endian(bytes_at(descriptor, size - 4, 4)));
  if (last > 0) {
    const std::string head = bytes_at(descriptor, last, kFlvTagHeaderBytes);
    if (is_flv_tag(head) && last + flv_tag_bytes(head) + 4 == size) return "";
  }
  const std::string header = bytes_at(descriptor, 0, 9);
  if (header.size() < 9) return "";
  for (int64_t begin = static_cast<int64_t>(big_endian(std::string_view(header).substr(5))) + 4;
       begin < size;) {
    const std::string head = bytes_at(descriptor, begin, kFlvTagHeaderBytes);
    if (head.size() < kFlvTagHeaderBytes) return "it ends within the head of a tag";
    if (!is_flv_tag(head)) return "";
    const int64_t length = flv_tag_bytes(head);
    if (length > size - begin)
      return fmt::format("its tag of {} bytes begins at byte {}", length, begin);
    begin += length + 4;
  }
  return "";
}

}  // namespace

std::string missing_end(std::string_view format, int descriptor, int64_t size) {
  if (format.starts_with("matroska")) return missing_of_matroska(descriptor, size);
  if (format == "gif") return missing_of_gif(descriptor, size);
  if (format == "ogg") return missing_of_ogg(descriptor, size);
  if (format == "avi") return missing_of_avi(descriptor, size);
  if (format == "asf") return missing_of_asf(descriptor, size);
  if (format == "flv") return missing_of_flv(descriptor, size);
  return "";
}

}  // namespace sora
