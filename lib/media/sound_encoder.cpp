#include "lib/media/sound_encoder.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "lib/media/sound.h"

namespace sora {
namespace {

const AVCodec* find(const SoundCodec& codec) {
  return avcodec_find_encoder_by_name(std::string(codec.encoder).c_str());
}

}  // namespace

bool SoundEncoder::exists(const SoundCodec& codec) { return find(codec) != nullptr; }

SoundEncoder::SoundEncoder(const SoundCodec& codec, int64_t channels, bool global_header) {
  const AVCodec* encoder = find(codec);
  if (!encoder) fail(ErrorKind::NotFound, "this FFmpeg cannot encode sound with {}", codec.encoder);
  context_.reset(avcodec_alloc_context3(encoder));
  if (!context_) fail(ErrorKind::Memory, "no memory for the encoder {}", codec.encoder);
  context_->sample_rate = static_cast<int>(kSoundRate);
  context_->time_base = {1, static_cast<int>(kSoundRate)};
  context_->sample_fmt = codec.is_planar ? AV_SAMPLE_FMT_FLTP : AV_SAMPLE_FMT_FLT;
  context_->bit_rate = codec.bits_per_second * channels;
  context_->thread_count = 1;
  context_->flags |= AV_CODEC_FLAG_BITEXACT;
  if (global_header) context_->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  av::set_channels(*context_, static_cast<int>(channels));
  const av::LogCapture log;
  if (const int result = avcodec_open2(context_.get(), encoder, nullptr); result < 0) {
    fail(ErrorKind::NotFound, "this FFmpeg cannot encode sound with {}: {}", codec.encoder,
         log.describe(result));
  }
}

av::Frame SoundEncoder::make_frame(const at::Tensor& samples_NC, int64_t count) const {
  av::Frame frame = av::make_frame();
  const int64_t channels = samples_NC.size(1);
  frame->nb_samples = static_cast<int>(count);
  frame->format = context_->sample_fmt;
  frame->sample_rate = context_->sample_rate;
  frame->pts = next_;
  av::set_channels(*frame, static_cast<int>(channels));
  if (av_frame_get_buffer(frame.get(), 0) < 0)
    fail(ErrorKind::Memory, "no memory for {} samples of sound", count);
  const bool is_planar = av_sample_fmt_is_planar(context_->sample_fmt);
  const float* from = samples_NC.const_data_ptr<float>() + next_ * channels;
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t c = 0; c < channels; ++c) {
      auto* plane = reinterpret_cast<float*>(frame->data[is_planar ? c : 0]);
      plane[is_planar ? i : i * channels + c] = from[i * channels + c];
    }
  }
  return frame;
}

void SoundEncoder::encode_up_to(const at::Tensor& samples_NC, int64_t stop,
                                const Encoder::PacketHandler& handler) {
  stop = std::min(stop, samples_NC.size(0));
  const bool is_last = stop == samples_NC.size(0);
  while (next_ < stop) {
    const int64_t count =
        std::min<int64_t>(context_->frame_size > 0 ? context_->frame_size : 1024, stop - next_);
    if (!is_last && count < context_->frame_size) return;
    const av::Frame frame = make_frame(samples_NC, count);
    next_ += count;
    drain(avcodec_send_frame(context_.get(), frame.get()), handler);
  }
}

void SoundEncoder::flush(const Encoder::PacketHandler& handler) {
  drain(avcodec_send_frame(context_.get(), nullptr), handler);
}

void SoundEncoder::drain(int result, const Encoder::PacketHandler& handler) {
  const av::LogCapture log;
  const av::Packet packet = av::make_packet();
  while (result >= 0) {
    result = avcodec_receive_packet(context_.get(), packet.get());
    if (result == AVERROR(EAGAIN) || result == AVERROR_EOF) return;
    if (result < 0) break;
    handler(*packet);
    av_packet_unref(packet.get());
  }
  fail(result == AVERROR(ENOMEM) ? ErrorKind::Memory : ErrorKind::Internal,
       "encoding sound with {} failed: {}", context_->codec->name, log.describe(result));
}

}  // namespace sora
