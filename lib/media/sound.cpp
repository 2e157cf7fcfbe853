// Samples are put where their timestamps say, so that gaps stay gaps and nothing drifts; single
// damaged packets are left silent, as players do.
#include "lib/media/sound.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "lib/core/error.h"
#include "lib/media/media_input.h"
#include "lib/media/video_decoder.h"
#include "lib/media/video_reader.h"

namespace sora {
namespace {

// Starts later than this are sought; before it decoding from the beginning is exact in every
// container.
constexpr double kSeekFrom_s = 10;
// Decoders need some packets before what they give is right.
constexpr double kRunUp_s = 1;
// Timestamps that differ from the count of samples by more are a jump; less is rounding.
constexpr int64_t kJump = kSoundRate / 50;

// The time of the first picture that can be decoded: a file that was cut out of another one may
// begin with packets that hang on a key frame before them. Where frames have no time of their own,
// as in AVI, or none is decoded, the stream's.
double origin_of(const std::string& path, const AVStream& pictures) {
  int64_t origin = pictures.start_time;
  try {
    const av::Frame first = VideoDecoder(path, ReadOptions{}.max_pixels).next();
    if (first && first->pts != AV_NOPTS_VALUE) origin = first->pts;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Input) throw;
  }
  return origin == AV_NOPTS_VALUE ? 0 : static_cast<double>(origin) * av_q2d(pictures.time_base);
}

class SoundDecoder {
 public:
  SoundDecoder(const std::string& path, int64_t channels)
      : input_(path), channels_(channels), packet_(av::make_packet()) {
    input_.find_streams();
    stream_ = input_.sound_stream();
    if (!stream_) fail(ErrorKind::Input, "{} has no sound", path);
    origin_s_ = origin_of(path, input_.video_stream());
    for (unsigned i = 0; i < input_.context().nb_streams; ++i) {
      AVStream* other = input_.context().streams[i];
      if (other != stream_) other->discard = AVDISCARD_ALL;
    }
    const AVCodec* decoder = avcodec_find_decoder(stream_->codecpar->codec_id);
    if (decoder) check_listed(*decoder, path);
    const av::LogCapture log;
    int result = decoder ? 0 : AVERROR_DECODER_NOT_FOUND;
    if (decoder) {
      context_.reset(avcodec_alloc_context3(decoder));
      if (!context_) fail(ErrorKind::Memory, "no memory to decode {}", path);
      result = avcodec_parameters_to_context(context_.get(), stream_->codecpar);
      context_->pkt_timebase = stream_->time_base;
      context_->thread_count = 1;
      av::Dictionary options;
      options.set("codec_whitelist", kDecoderWhitelist);
      if (result >= 0) result = avcodec_open2(context_.get(), decoder, options.address());
    }
    if (result < 0) {
      fail(ErrorKind::Input, "the sound of {} cannot be decoded: {} ({})", path,
           log.describe(result), avcodec_get_name(stream_->codecpar->codec_id));
    }
  }

  // Fills `samples_NC`, whose first sample is at `start_s`.
  void read(double start_s, at::Tensor& samples_NC) {
    start_s_ = start_s;
    out_ = &samples_NC;
    if (start_s > kSeekFrom_s) {
      const double target = (start_s - kRunUp_s + origin_s_) / av_q2d(stream_->time_base);
      const av::LogCapture log;
      if (av_seek_frame(&input_.context(), stream_->index, std::llround(target),
                        AVSEEK_FLAG_BACKWARD) < 0) {
        av_seek_frame(&input_.context(), stream_->index, 0, AVSEEK_FLAG_BACKWARD);
      }
    }
    const av::Frame frame = av::make_frame();
    while (next_ < samples_NC.size(0)) {
      const int result = avcodec_receive_frame(context_.get(), frame.get());
      if (result >= 0) {
        take(*frame);
      } else if (ended_ || result == AVERROR_EOF) {
        break;
      } else {
        feed();
      }
    }
    drain();
  }

 private:
  void feed() {
    const av::LogCapture log;
    for (;;) {
      const int result = av_read_frame(&input_.context(), packet_.get());
      if (result < 0) {
        // The first time, what the decoder still holds comes out.
        ended_ = avcodec_send_packet(context_.get(), nullptr) < 0;
        return;
      }
      const bool is_ours = packet_->stream_index == stream_->index;
      if (is_ours) avcodec_send_packet(context_.get(), packet_.get());
      av_packet_unref(packet_.get());
      if (is_ours) return;
    }
  }

  void take(const AVFrame& frame) {
    const int64_t pts = frame.best_effort_timestamp;
    const bool is_other = !resampler_ || frame.sample_rate != rate_ || frame.format != format_ ||
                          av::num_channels(frame) != from_;
    if (pts != AV_NOPTS_VALUE) {
      const double time_s =
          static_cast<double>(pts) * av_q2d(stream_->time_base) - origin_s_ - start_s_;
      const int64_t at = std::llround(time_s * static_cast<double>(kSoundRate));
      if (is_other || std::abs(at - place_of_next()) > kJump) {
        drain();
        next_ = began_ = at;
        taken_ = 0;
        resampler_.reset();
      }
    }
    if (!resampler_) {
      resampler_ =
          av::make_resampler(frame, static_cast<int>(kSoundRate), static_cast<int>(channels_));
      if (!resampler_)
        fail(ErrorKind::Input, "the sound of {} has a form that cannot be resampled",
             input_.path());
      rate_ = frame.sample_rate;
      format_ = frame.format;
      from_ = av::num_channels(frame);
    }
    taken_ += frame.nb_samples;
    convert(const_cast<const uint8_t**>(frame.extended_data), frame.nb_samples);
  }

  // Where the decoder's next sample belongs.
  int64_t place_of_next() const {
    return began_ + (taken_ > 0 ? av_rescale(taken_, kSoundRate, rate_) : 0);
  }

  // What the resampler still holds.
  void drain() {
    if (resampler_) convert(nullptr, 0);
  }

  void convert(const uint8_t** data, int count) {
    const int room = swr_get_out_samples(resampler_.get(), count);
    if (room <= 0) return;
    const at::Tensor made_NC = at::empty({room, channels_}, at::kFloat);
    auto* bytes = reinterpret_cast<uint8_t*>(made_NC.mutable_data_ptr<float>());
    const int made = swr_convert(resampler_.get(), &bytes, room, data, count);
    if (made <= 0) return;
    const int64_t from = std::max<int64_t>(next_, 0);
    const int64_t to = std::min<int64_t>(next_ + made, out_->size(0));
    if (from < to) out_->slice(0, from, to).copy_(made_NC.slice(0, from - next_, to - next_));
    next_ += made;
  }

  MediaInput input_;
  int64_t channels_;
  av::Packet packet_;
  AVStream* stream_ = nullptr;
  av::CodecContext context_;
  av::Resampler resampler_;
  int rate_ = 0, format_ = 0, from_ = 0;  // of what the resampler takes
  bool ended_ = false;
  double origin_s_ = 0;  // the first picture's time
  double start_s_ = 0;
  at::Tensor* out_ = nullptr;
  int64_t next_ = 0;   // where the resampler's next sample belongs
  int64_t began_ = 0;  // where the first sample since the last jump belongs
  int64_t taken_ = 0;  // samples since then, at the file's rate
};

}  // namespace

int64_t sound_channels(const std::string& path) {
  MediaInput input(path);
  input.find_streams();
  const AVStream* stream = input.sound_stream();
  return stream ? std::clamp(av::num_channels(*stream->codecpar), 1, 2) : 0;
}

at::Tensor read_sound(const std::string& path, double start_s, int64_t num_samples,
                      int64_t channels) {
  at::Tensor samples_NC = at::zeros({num_samples, channels}, at::kFloat);
  SoundDecoder(path, channels).read(start_s, samples_NC);
  return samples_NC.nan_to_num_(0, 0, 0).clamp_(-1, 1);
}

}  // namespace sora
