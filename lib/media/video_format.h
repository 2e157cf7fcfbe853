// What an output name and a codec name stand for. The tables in video_format.cpp are the whole
// list: a container is one row there, a codec another.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sora {

// How one codec is asked for. Option lists are libav's "key=value:key=value".
struct VideoCodec {
  std::string_view name;  // "h264", as --codec says it
  // Libav's names, the first that exists and opens is taken: "libsvtav1,libaom-av1".
  std::string_view encoders;
  std::string_view pixel_format;
  bool even_sides;  // 4:2:0 in a codec that cannot crop a single column or row
  // Libav's option behind --quality; empty: the codec has no such scale.
  std::string_view quality_key;
  int quality_default;
  int quality_max;
  double least_bits_per_pixel;  // no clip comes to less; a disk with less room is refused before
                                // any work
  std::string_view options;
};

// How sound is encoded.
struct SoundCodec {
  std::string_view name;     // "aac"
  std::string_view encoder;  // libav's name
  bool is_planar;            // its samples: f32, a plane each channel or interleaved
  int64_t bits_per_second;   // of each channel
};

enum class MetadataPlace { Inside, Sidecar };

struct VideoContainer {
  std::string_view extension;  // "mp4", without the dot
  std::string_view muxer;
  std::string_view codecs;  // the first is the default
  MetadataPlace metadata;
  double max_fps;          // 0: any
  std::string_view sound;  // a SoundCodec's name; empty: holds none
  std::string_view options;
};

struct VideoFormat {
  const VideoContainer* container = nullptr;
  const VideoCodec* codec = nullptr;
  const SoundCodec* sound = nullptr;  // null where the container holds none
  bool is_stdout = false;             // path "-"
  bool is_sequence = false;           // path holds a number field such as %05d
};

// Chooses by the extension of `path` ("-" is y4m to stdout) and, where not empty, by the codec's
// name. Throws Error(Usage) naming the known extensions or the codecs that the container takes.
// Touches no file.
VideoFormat format_for(const std::string& path, const std::string& codec);

// Throws Error(Usage) for a quality that the codec's scale does not have.
void check_quality(const VideoCodec& codec, std::optional<int> quality);

// "mp4", "webm", ...; "h264", "hevc", ...
std::vector<std::string> container_names();
std::vector<std::string> codec_names();

}  // namespace sora
