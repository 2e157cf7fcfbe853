// Where the writer's thread puts frames: a container file, numbered images, or a GIF that first
// needs its palette.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "lib/core/rational.h"
#include "lib/media/video_format.h"

namespace sora {

struct SinkOptions {
  VideoFormat format;
  std::string path;
  int64_t width = 0;
  int64_t height = 0;
  Rational fps;
  std::optional<int> quality;
  bool force = false;
  std::string comment;  // the manifest, of containers that keep it inside
  std::string title;
  at::Tensor sound_NC = {};  // of containers that hold sound; undefined: none
  std::function<void(const std::string& path)> seal = {};  // as WriterOptions
};

class FrameSink {
 public:
  virtual ~FrameSink();  // without finish(): leaves nothing behind
  virtual void write(const uint8_t* rgb_HWC) = 0;
  virtual void finish() = 0;  // the output has its name afterwards
  virtual int stored_width() const = 0;
  virtual int stored_height() const = 0;
};

// Each opens what it needs at once. Throw as VideoWriter does.
std::unique_ptr<FrameSink> open_container(const SinkOptions& options);
std::unique_ptr<FrameSink> open_gif(const SinkOptions& options);
std::unique_ptr<FrameSink> open_sequence(
    const SinkOptions& options);  // also of one image under a plain name

}  // namespace sora
