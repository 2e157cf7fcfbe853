// One libavcodec video encoder, chosen and set up by a row of the codec table.
#pragma once

#include <functional>
#include <optional>

#include "lib/media/ffmpeg.h"
#include "lib/media/rgb_to_frame.h"
#include "lib/media/video_format.h"

namespace sora {

struct EncoderOptions {
  int width = 0;
  int height = 0;
  AVPixelFormat pixel_format = AV_PIX_FMT_NONE;
  ColorTags tags;
  Rational fps;
  std::optional<int> quality;
  bool global_header = false;  // parameter sets in the container's header, not in the stream
};

class Encoder {
 public:
  using PacketHandler = std::function<void(AVPacket&)>;

  // Opens the first encoder of the row that this FFmpeg has and that takes the size. Throws
  // Error(NotFound) where there is none, Error(Usage) for a quality outside the codec's scale.
  Encoder(const VideoCodec& codec, const EncoderOptions& options);

  // Frames are stamped 0, 1, 2, ... in the order they come. Packets go to the handler, timed in
  // units of 1 / fps.
  void encode(AVFrame& frame, const PacketHandler& handler);
  void flush(const PacketHandler& handler);

  const AVCodecContext& context() const { return *context_; }

 private:
  void drain(int result, const PacketHandler& handler);

  av::CodecContext context_;
  int64_t next_pts_ = 0;
};

}  // namespace sora
