// A video that an operation works on: what it is, and its frames as the output shows them.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <string>

#include "lib/core/error.h"
#include "lib/core/rational.h"
#include "lib/media/resample.h"
#include "lib/media/video_reader.h"
#include "lib/pipelines/request.h"

namespace sora {

// What `work` throws about the file at `path` names it as the user wrote it.
template <typename Work>
auto under_name(const std::string& path, const std::string& name, const Work& work) {
  try {
    return work();
  } catch (const Error& error) {
    std::string message = error.what();
    const size_t place = message.find(path);
    if (place == std::string::npos || path == name) throw;
    throw Error(error.kind(), message.replace(place, path.size(), name));
  }
}

class Source {
 public:
  // "-" is stdin. It and named pipes are kept in an unnamed temporary file, so that they can be
  // read more than once. Throws Error(NotFound | Input), also for what is longer than any clip that
  // can be made.
  explicit Source(const std::string& name);
  ~Source();
  static bool is_stream(const std::string& name);  // stdin or a pipe: not there a second time
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  const std::string& name() const { return name_; }  // as the user wrote it
  const std::string& path() const { return path_; }  // what can be opened
  const FileInfo& info() const { return info_; }
  // The text the clip was made from, if its manifest says; else empty.
  std::string prompt() const;

  // The frames of the whole file at a rate, counted by decoding it. Throws Error(Input) beyond
  // kMaxFrames, or where there is only one: `tool` cannot see a motion in it.
  int64_t count_frames(Rational fps, std::string_view tool) const;

 private:
  void spool_pipe();
  void spool(int stream);  // reads it to its end, once, into a temporary file

  std::string name_;
  std::string path_;
  int fd_ = -1;
  FileInfo info_;
};

// How a source is brought to the output.
struct SourceView {
  Rational fps;
  Size size;
  Fit fit = Fit::Crop;
};

// Streams frames [first, ...) of a source, counted at the view's rate.
class SourceFrames {
 public:
  SourceFrames(const Source& source, const SourceView& view, int64_t first);
  // The next `count` frames, u8 [count,H,W,3]; where the file ends before that, its last frame is
  // repeated.
  at::Tensor read(int64_t count);

 private:
  std::string path_;
  std::string name_;
  VideoReader reader_;
  Resizer resizer_;
  at::Tensor last_;
};

Fit parse_fit(const std::string& name);  // "crop" | "pad" | "stretch"

}  // namespace sora
