#include "lib/media/encoder.h"

#include <fmt/format.h>

#include <cstdlib>
#include <sstream>

namespace sora {
namespace {

av::CodecContext make_context(const AVCodec& encoder, const EncoderOptions& options) {
  av::CodecContext context(avcodec_alloc_context3(&encoder));
  if (!context) fail(ErrorKind::Memory, "no memory for the encoder {}", encoder.name);
  context->width = options.width;
  context->height = options.height;
  context->pix_fmt = options.pixel_format;
  context->framerate = av::to_av(options.fps);
  context->time_base = av_inv_q(context->framerate);
  context->sample_aspect_ratio = {1, 1};
  context->colorspace = options.tags.space;
  context->color_range = options.tags.range;
  context->color_trc = options.tags.transfer;
  context->color_primaries = options.tags.primaries;
  if (!(av_pix_fmt_desc_get(options.pixel_format)->flags & AV_PIX_FMT_FLAG_RGB)) {
    context->chroma_sample_location = AVCHROMA_LOC_LEFT;
  }
  context->flags |= AV_CODEC_FLAG_BITEXACT;
  if (options.global_header) context->flags |= AV_CODEC_FLAG_GLOBAL_HEADER;
  return context;
}

// What single encoders need beyond their row.
//
// Note [x264 and AVX-512]: x264's rate control along frames (mbtree) reads memory it has never
// written where the processor has AVX-512 and the picture's width is not a multiple of 256, so that
// the same frames give other bytes from run to run. Without that instruction set the stream is the
// one of every other processor, at the same speed.
void adapt(const std::string& encoder, const EncoderOptions& options, av::Dictionary& settings) {
  // x265 3.5 writes past its buffer in the cutree pass of pictures narrower than 64 pixels.
  if (encoder == "libx265" && options.width < 64) settings.append("x265-params", ":cutree=0");
#if defined(AV_CPU_FLAG_AVX512)
  if (encoder == "libx264" && av_get_cpu_flags() & AV_CPU_FLAG_AVX512)
    settings.set("x264-params", "asm=AVX2");
#endif
}

}  // namespace

Encoder::Encoder(const VideoCodec& codec, const EncoderOptions& options) {
  check_quality(codec, options.quality);
  // SVT-AV1 writes to stderr by itself and knows no other switch than its environment variable.
  ::setenv("SVT_LOG", "-1", 0);
  std::istringstream names{std::string(codec.encoders)};
  std::string reason = "none of them is built in";
  for (std::string name; std::getline(names, name, ',');) {
    const AVCodec* encoder = avcodec_find_encoder_by_name(name.c_str());
    if (!encoder) continue;
    av::CodecContext context = make_context(*encoder, options);
    av::Dictionary settings(codec.options);
    if (!codec.quality_key.empty()) {
      settings.set(std::string(codec.quality_key),
                   std::to_string(options.quality.value_or(codec.quality_default)));
    }
    adapt(name, options, settings);
    const av::LogCapture log;
    const int result = avcodec_open2(context.get(), encoder, settings.address());
    if (result >= 0) {
      context_ = std::move(context);
      return;
    }
    reason = fmt::format("{}: {}", name, log.describe(result));
  }
  fail(ErrorKind::NotFound,
       "this FFmpeg cannot encode {} at {}x{} (it was asked for {}; {}); choose another --codec",
       codec.name, options.width, options.height, codec.encoders, reason);
}

void Encoder::encode(AVFrame& frame, const PacketHandler& handler) {
  frame.pts = next_pts_++;
  frame.pict_type = AV_PICTURE_TYPE_NONE;
  av::set_duration(frame, 1);
  drain(avcodec_send_frame(context_.get(), &frame), handler);
}

void Encoder::flush(const PacketHandler& handler) {
  drain(avcodec_send_frame(context_.get(), nullptr), handler);
}

void Encoder::drain(int result, const PacketHandler& handler) {
  const av::LogCapture log;
  av::Packet packet = av::make_packet();
  while (result >= 0) {
    result = avcodec_receive_packet(context_.get(), packet.get());
    if (result == AVERROR(EAGAIN) || result == AVERROR_EOF) return;
    if (result < 0) break;
    if (packet->duration == 0) packet->duration = 1;
    handler(*packet);
    av_packet_unref(packet.get());
  }
  if (result == AVERROR(ENOMEM))
    fail(ErrorKind::Memory, "no memory to encode a frame with {}", context_->codec->name);
  fail(ErrorKind::Internal, "encoding with {} failed: {}", context_->codec->name,
       log.describe(result));
}

}  // namespace sora
