// Decoded frames of a file's video stream, one after the other, with damage as errors.
#pragma once

#include <cstdint>
#include <string>

#include "lib/media/ffmpeg.h"
#include "lib/media/media_input.h"

namespace sora {

class VideoDecoder {
 public:
  // Throws as MediaInput does, and Error(Input) for a stream that cannot be decoded or is larger
  // than `max_pixels`.
  VideoDecoder(const std::string& path, int64_t max_pixels);

  // Null after the last frame. Throws Error(Input) for a damaged stream.
  av::Frame next();
  // To the last key frame at or before a time in the stream's units. False where the file cannot be
  // entered there.
  bool seek(int64_t pts);

  MediaInput& input() { return input_; }
  AVStream& stream() { return *stream_; }
  const AVStream& stream() const { return *stream_; }
  const std::string& path() const { return input_.path(); }
  // The matrix of frames that name none: still pictures are BT.601 at any size. 0: not known.
  int untagged_matrix() const;

 private:
  void check_last_packet();

  MediaInput input_;
  AVStream* stream_ = nullptr;
  av::CodecContext context_;
  av::Packet packet_;
  int64_t last_packet_end_ = 0;
  bool ended_ = false;  // the decoder is being emptied
};

}  // namespace sora
