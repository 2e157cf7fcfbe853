// One libavcodec sound encoder, fed with samples in whatever portions come.
#pragma once

#include <ATen/core/Tensor.h>

#include "lib/media/encoder.h"
#include "lib/media/ffmpeg.h"
#include "lib/media/video_format.h"

namespace sora {

class SoundEncoder {
 public:
  // Throws Error(NotFound) where this FFmpeg lacks the encoder. `channels` is 1 or 2.
  SoundEncoder(const SoundCodec& codec, int64_t channels, bool global_header);

  // All of the clip's sound up to sample `stop` of `samples_NC` (f32, kSoundRate) that was not
  // encoded yet; whole encoder frames only, but for the last.
  void encode_up_to(const at::Tensor& samples_NC, int64_t stop,
                    const Encoder::PacketHandler& handler);
  void flush(const Encoder::PacketHandler& handler);

  // Whether this FFmpeg has the encoder.
  static bool exists(const SoundCodec& codec);

  const AVCodecContext& context() const { return *context_; }

 private:
  av::Frame make_frame(const at::Tensor& samples_NC, int64_t count) const;
  void drain(int result, const Encoder::PacketHandler& handler);

  av::CodecContext context_;
  int64_t next_ = 0;  // sample
};

}  // namespace sora
