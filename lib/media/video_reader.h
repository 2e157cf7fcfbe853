// Reads video and images of any kind that FFmpeg decodes, as RGB frames at a constant rate.
//
// Files are untrusted: only known containers are opened, nothing but the named file is ever read
// (playlists and concat scripts are refused whatever their name says), and size, length and memory
// are bounded.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "lib/core/rational.h"

namespace sora {

struct ReadOptions {
  // Resample to this rate by repeating and dropping frames; empty: the file's own.
  std::optional<Rational> fps;
  double start_s = 0;  // the range [start_s, stop_s) of the file's timeline, which begins at 0
  std::optional<double> stop_s = std::nullopt;
  int64_t max_frames = 36'000;  // more is Error(Input)
  int64_t max_pixels = 8192LL * 8192;
};

// Turned upright by the rotation flag, transparent pixels over black, non-square pixels made
// square, colours from the file's matrix and range (untagged: BT.601 up to 576 lines and below 1280
// columns, else BT.709, as players assume). HDR (PQ, HLG) becomes BT.709: 203 cd/m2 is white and
// what is brighter is clipped.
class VideoReader {
 public:
  // Throws Error(NotFound | Input | Io).
  explicit VideoReader(const std::string& path, const ReadOptions& options = {});
  ~VideoReader();
  VideoReader(const VideoReader&) = delete;
  VideoReader& operator=(const VideoReader&) = delete;

  Rational fps() const;
  int64_t width() const;  // of the frames that read() gives
  int64_t height() const;

  // Up to `max_frames` next frames [F,H,W,3] uint8; F is 0 at the end. Throws Error(Input) for a
  // damaged stream.
  at::Tensor read(int64_t max_frames);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// What a file says of itself, without decoding more than its first frames.
struct FileInfo {
  std::string path;
  std::string container;     // FFmpeg's name, e.g. "mov,mp4,m4a,3gp,3g2,mj2"
  std::string codec;         // "h264"
  std::string pixel_format;  // "yuv420p"
  int64_t size_bytes = 0;
  int64_t width = 0;  // as shown: upright and with square pixels
  int64_t height = 0;
  int rotation = 0;  // degrees clockwise that the file asks for: 0, 90, 180, 270
  Rational fps;
  int64_t num_frames = 0;
  double duration_s = 0;
  bool is_interlaced = false;  // frames are two fields, of two times
  std::string color_range;     // "tv" | "pc" | "unknown"; the next three in FFmpeg's words
  std::string color_space;
  std::string color_transfer;
  std::string color_primaries;
  int num_audio_streams = 0;
  std::string title;
  std::string metadata_json;  // the manifest, from inside or from the side file; empty: none
  std::string metadata_path;  // where it was found
};

// The file by which a name is told: of a sequence (frames/%05d.png) its first frame.
std::string first_file(const std::string& name);

// Throws Error(NotFound | Input).
FileInfo probe(const std::string& name);
nlohmann::json to_json(const FileInfo& info);  // the manifest under "metadata", parsed

}  // namespace sora
