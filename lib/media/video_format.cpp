#include "lib/media/video_format.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>

#include "lib/core/ascii.h"
#include "lib/core/error.h"
#include "lib/core/numbered_names.h"

namespace sora {
namespace {

// Defaults of quality are near transparent at a moderate size. Everything that could make two runs
// differ is fixed: a thread count of libav's "auto" would let the number of cores into the bit
// stream. x265 is given one thread: with frames in parallel one stream in forty came out otherwise
// on a busy machine.
constexpr VideoCodec kCodecs[] = {
    {"h264", "libx264", "yuv420p", true, "crf", 17, 51, 0.002, "preset=medium:threads=4"},
    {"hevc", "libx265", "yuv420p", true, "crf", 20, 51, 0.002,
     "preset=medium:x265-params=log-level=none\\:info=0\\:pools=none\\:wpp=0\\:frame-threads=1"},
    {"av1", "libsvtav1,libaom-av1", "yuv420p", false, "crf", 24, 63, 0.002,
     "b=0:preset=7:cpu-used=6:row-mt=1:threads=4"},
    {"vp9", "libvpx-vp9", "yuv420p", false, "crf", 24, 63, 0.002,
     "b=0:deadline=good:cpu-used=4:row-mt=1:tile-columns=1:threads=4"},
    {"prores", "prores_ks", "yuv422p10le", false, "", 0, 0, 1, "profile=hq:vendor=apl0:threads=4"},
    {"ffv1", "ffv1", "bgr0", false, "", 0, 0, 0.1,
     "level=3:coder=range_tab:context=1:slices=4:slicecrc=1:g=1:threads=4"},
    {"gif", "gif", "pal8", false, "", 0, 0, 0.002, ""},
    {"webp", "libwebp_anim", "bgra", false, "quality", 90, 100, 0.002, "compression_level=4"},
    {"apng", "apng", "rgb24", false, "", 0, 0, 0.002, "pred=mixed:threads=1"},
    {"png", "png", "rgb24", false, "", 0, 0, 0.002, "pred=mixed:threads=1"},
    {"y4m", "wrapped_avframe", "yuv444p", false, "", 0, 0, 24, ""},
};

constexpr SoundCodec kSoundCodecs[] = {
    {"aac", "aac", true, 96'000},
    {"opus", "libopus", false, 64'000},
};

// mov keeps long text only as "mdta" keys. gif, webp, apng and y4m lose it without a word.
constexpr VideoContainer kContainers[] = {
    {"mp4", "mp4", "h264,hevc,av1", MetadataPlace::Inside, 0, "aac", "movflags=+faststart"},
    {"webm", "webm", "vp9,av1", MetadataPlace::Inside, 0, "opus", ""},
    {"mkv", "matroska", "h264,hevc,av1,vp9,ffv1,prores", MetadataPlace::Inside, 0, "aac", ""},
    {"mov", "mov", "prores,h264,hevc", MetadataPlace::Inside, 0, "aac",
     "movflags=+faststart+use_metadata_tags"},
    {"gif", "gif", "gif", MetadataPlace::Sidecar, 50, "", "loop=0"},
    {"webp", "webp", "webp", MetadataPlace::Sidecar, 0, "", "loop=0"},
    {"apng", "apng", "apng", MetadataPlace::Sidecar, 0, "", "plays=0"},
    {"png", "", "png", MetadataPlace::Sidecar, 0, "", ""},
    {"y4m", "yuv4mpegpipe", "y4m", MetadataPlace::Sidecar, 0, "", ""},
};

std::vector<std::string> split(std::string_view list) {
  std::vector<std::string> names;
  for (size_t start = 0; start <= list.size();) {
    const size_t comma = std::min(list.find(',', start), list.size());
    names.emplace_back(list.substr(start, comma - start));
    start = comma + 1;
  }
  return names;
}

std::string extension_of(const std::string& path) {
  std::string extension = std::filesystem::path(path).extension().string();
  if (!extension.empty()) extension.erase(0, 1);
  return ascii_lower(extension);
}

const VideoCodec* find_codec(std::string_view name) {
  const auto* row =
      std::find_if(std::begin(kCodecs), std::end(kCodecs), [&](auto& c) { return c.name == name; });
  return row == std::end(kCodecs) ? nullptr : row;
}

}  // namespace

VideoFormat format_for(const std::string& path, const std::string& codec) {
  VideoFormat format;
  format.is_stdout = path == "-";
  const std::string extension = format.is_stdout ? "y4m" : extension_of(path);
  for (const VideoContainer& row : kContainers) {
    if (row.extension == extension) format.container = &row;
  }
  if (!format.container) {
    fail(ErrorKind::Usage, "{}: {}; name a file that ends in .{}, or - for y4m on stdout", path,
         extension.empty() ? "the name has no extension that says the format"
                           : fmt::format("no format is known by the extension .{}", extension),
         fmt::join(container_names(), ", ."));
  }
  const std::vector<std::string> taken = split(format.container->codecs);
  const std::string wanted = codec.empty() ? taken.front() : codec;
  if (std::find(taken.begin(), taken.end(), wanted) == taken.end()) {
    if (!find_codec(wanted)) {
      fail(ErrorKind::Usage, "no codec is known as '{}'; choose one of {}", wanted,
           fmt::join(codec_names(), ", "));
    }
    std::vector<std::string> homes;
    for (const VideoContainer& row : kContainers) {
      const auto codecs = split(row.codecs);
      if (std::find(codecs.begin(), codecs.end(), wanted) != codecs.end())
        homes.emplace_back(row.extension);
    }
    fail(ErrorKind::Usage, "{}: .{} holds {}, not {}; for {} name a file that ends in .{}", path,
         extension, fmt::join(taken, ", "), wanted, wanted, fmt::join(homes, ", ."));
  }
  format.codec = find_codec(wanted);
  for (const SoundCodec& row : kSoundCodecs) {
    if (row.name == format.container->sound) format.sound = &row;
  }
  if (extension == "png") {
    format.is_sequence = names_sequence(path);
    if (!format.is_sequence &&
        std::filesystem::path(path).filename().string().find('%') != std::string::npos) {
      fail(ErrorKind::Usage,
           "{}: a sequence is named with one number field in the file's name, such as "
           "frames/%05d.png",
           path);
    }
  }
  return format;
}

void check_quality(const VideoCodec& codec, std::optional<int> quality) {
  if (!quality) return;
  if (codec.quality_key.empty()) {
    fail(ErrorKind::Usage,
         "quality {} was asked for, but {} has no quality scale; leave the option out", *quality,
         codec.name);
  }
  if (*quality < 0 || *quality > codec.quality_max) {
    fail(ErrorKind::Usage, "quality {} is outside the scale of {}, which goes from 0 to {}",
         *quality, codec.name, codec.quality_max);
  }
}

std::vector<std::string> container_names() {
  std::vector<std::string> names;
  for (const VideoContainer& row : kContainers) names.emplace_back(row.extension);
  return names;
}

std::vector<std::string> codec_names() {
  std::vector<std::string> names;
  for (const VideoCodec& row : kCodecs) names.emplace_back(row.name);
  return names;
}

}  // namespace sora
