#include "lib/media/video_decoder.h"

#include <string_view>

#include "lib/media/planes.h"

namespace sora {
namespace {

// FFmpeg's own decoders of VP8 and VP9 leave transparency out, those of libvpx do not.
const AVCodec* decoder_of(const AVStream& stream) {
  const AVCodecID codec = stream.codecpar->codec_id;
  const AVDictionaryEntry* alpha = av_dict_get(stream.metadata, "alpha_mode", nullptr, 0);
  const char* name = codec == AV_CODEC_ID_VP9   ? "libvpx-vp9"
                     : codec == AV_CODEC_ID_VP8 ? "libvpx"
                                                : nullptr;
  if (alpha != nullptr && std::string_view(alpha->value) == "1" && name != nullptr) {
    if (const AVCodec* decoder = avcodec_find_decoder_by_name(name)) return decoder;
  }
  return avcodec_find_decoder(codec);
}

}  // namespace

VideoDecoder::VideoDecoder(const std::string& path, int64_t max_pixels)
    : input_(path), packet_(av::make_packet()) {
  input_.find_streams();
  stream_ = &input_.video_stream();
  AVFormatContext& container = input_.context();
  for (unsigned i = 0; i < container.nb_streams; ++i) {
    if (container.streams[i] != stream_) container.streams[i]->discard = AVDISCARD_ALL;
  }
  const AVCodecParameters& parameters = *stream_->codecpar;
  const AVCodec* decoder = decoder_of(*stream_);
  if (!decoder) {
    fail(ErrorKind::Input, "{}: this FFmpeg cannot decode {}", input_.path(),
         avcodec_get_name(parameters.codec_id));
  }
  check_listed(*decoder, input_.path());
  if (int64_t{parameters.width} * parameters.height > max_pixels) {
    fail(ErrorKind::Input, "{} is {}x{} pixels large; up to {} pixels can be read", input_.path(),
         parameters.width, parameters.height, max_pixels);
  }
  context_.reset(avcodec_alloc_context3(decoder));
  if (!context_) fail(ErrorKind::Memory, "no memory to decode {}", input_.path());
  const av::LogCapture log;
  int result = avcodec_parameters_to_context(context_.get(), &parameters);
  context_->pkt_timebase = stream_->time_base;
  context_->max_pixels = max_pixels;
  context_->thread_count = 0;
  av::Dictionary options;
  options.set("codec_whitelist", kDecoderWhitelist);
  if (result >= 0) result = avcodec_open2(context_.get(), decoder, options.address());
  if (result < 0) {
    fail(ErrorKind::Input, "{}: its {} stream cannot be decoded: {}", input_.path(), decoder->name,
         log.describe(result));
  }
}

av::Frame VideoDecoder::next() {
  const av::LogCapture log;
  av::Frame frame = av::make_frame();
  const auto damaged = [&](int result) {
    fail(result == AVERROR(ENOMEM) ? ErrorKind::Memory : ErrorKind::Input, "{} is damaged: {}",
         input_.path(), log.describe(result));
  };
  for (;;) {
    int result = avcodec_receive_frame(context_.get(), frame.get());
    if (result >= 0) return frame;
    if (result == AVERROR_EOF) return nullptr;
    if (result != AVERROR(EAGAIN)) damaged(result);

    result = av_read_frame(&input_.context(), packet_.get());
    if (result == AVERROR_EOF) {
      if (ended_) return nullptr;
      check_last_packet();
      ended_ = true;
      avcodec_send_packet(context_.get(), nullptr);
      continue;
    }
    if (result < 0) damaged(result);
    const bool ours = packet_->stream_index == stream_->index;
    if (ours && packet_->pos >= 0) last_packet_end_ = packet_->pos + packet_->size;
    if (ours && packet_->flags & AV_PKT_FLAG_CORRUPT) {
      fail(ErrorKind::Input, "{} is damaged or cut off: a frame is not whole", input_.path());
    }
    result = ours ? avcodec_send_packet(context_.get(), packet_.get()) : 0;
    av_packet_unref(packet_.get());
    if (result < 0) damaged(result);
  }
}

// libav's y4m reader drops a last frame that is not whole; what it had read of it tells.
void VideoDecoder::check_last_packet() {
  const bool is_y4m = std::string_view(input_.context().iformat->name) == "yuv4mpegpipe";
  if (is_y4m && last_packet_end_ < avio_tell(input_.context().pb)) {
    fail(ErrorKind::Input, "{} is cut off: its last frame is not whole", input_.path());
  }
}

bool VideoDecoder::seek(int64_t pts) {
  const av::LogCapture log;
  if (av_seek_frame(&input_.context(), stream_->index, pts, AVSEEK_FLAG_BACKWARD) < 0) return false;
  avcodec_flush_buffers(context_.get());
  ended_ = false;
  return true;
}

int VideoDecoder::untagged_matrix() const {
  switch (stream_->codecpar->codec_id) {
    case AV_CODEC_ID_MJPEG:
    case AV_CODEC_ID_WEBP:
    case AV_CODEC_ID_TIFF:
      return kMatrixBt601;
    default:
      return 0;
  }
}

}  // namespace sora
