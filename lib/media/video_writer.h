// Writes a clip to a file: a container by FFmpeg, numbered PNG files, or y4m on stdout.
//
// The output appears whole or not at all: it grows under a temporary name in the same folder and
// takes its own name in finish(), after its bytes are on the disk. The same frames and options give
// the same bytes on any number of cores.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/core/rational.h"
#include "lib/media/video_format.h"

namespace sora {

struct WriterOptions {
  std::string path;        // the extension decides; "-" is stdout; "frames/%05d.png" a sequence
  std::string codec = {};  // empty: the container's default
  int64_t width = 0;
  int64_t height = 0;
  Rational fps = {};
  std::optional<int> quality = std::nullopt;  // the codec's own scale: crf of h264, hevc, av1, vp9
                                              // (low is better), 0-100 of webp
  bool force = false;                         // replace an existing file
  std::string metadata_json = {};             // the manifest; empty: none
  int64_t expected_frames = 0;                // 0: unknown
  std::optional<std::string> title = std::nullopt;  // at most its first 200 bytes are written
  at::Tensor sound_NC = {};  // f32 [samples, 1 or 2] of kSoundRate in [-1,1]; undefined: none
  // Called with the path of the complete file, still under a temporary name; it may put another in
  // its place. Not of a sequence or stdout.
  std::function<void(const std::string& path)> seal = {};
};

// Whether there is a format of that name and a place for the file in a folder that can be written,
// without making anything. Throws as VideoWriter does.
void check_writable(const WriterOptions& options);

class VideoWriter {
 public:
  // Opens files and encoder at once, so that what cannot work fails before sampling. Throws
  // Error(Usage) for an unknown format, an existing file without `force` or a quality outside the
  // scale, Error(NotFound) for a missing folder or encoder, Error(Io) where the folder cannot be
  // written or the disk is too small.
  explicit VideoWriter(const WriterOptions& options);
  // Without a finish() that returned, removes what was written.
  ~VideoWriter();
  VideoWriter(const VideoWriter&) = delete;
  VideoWriter& operator=(const VideoWriter&) = delete;

  // Any number of frames, uint8 [F,H,W,3] on the CPU. Returns as soon as they are queued; colour
  // conversion and encoding run on the writer's own thread. The caller must not change the tensor's
  // memory afterwards. Throws what went wrong with earlier frames, Error(Io) for a full disk or
  // closed pipe.
  void write(const at::Tensor& frames_FHWC);

  // Waits for the encoder, completes the file, gives it its name and reads the metadata back.
  void finish();

  // The file (for a sequence its first frame), then side files. Complete after finish().
  std::vector<std::string> paths() const;

  // Sentences for the user about what is not quite as asked: padded sides, a lower frame rate, a
  // side file.
  std::vector<std::string> notices() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sora
