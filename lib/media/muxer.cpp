#include "lib/media/muxer.h"

#include <fmt/format.h>

namespace sora {
namespace {

constexpr int kWriteBufferBytes = 256 << 10;

}  // namespace

Muxer::Muxer(const VideoContainer& container, const std::string& path, bool force)
    : row_(container), file_(path, force) {
  AVFormatContext* context = nullptr;
  const std::string muxer(row_.muxer);
  const av::LogCapture log;
  const int result = avformat_alloc_output_context2(&context, nullptr, muxer.c_str(), nullptr);
  context_.reset(context);
  if (result < 0) {
    fail(ErrorKind::NotFound, "this FFmpeg cannot write .{} files (no muxer {})", row_.extension,
         row_.muxer);
  }
  auto* buffer = static_cast<unsigned char*>(av_malloc(kWriteBufferBytes));
  io_.reset(avio_alloc_context(buffer, kWriteBufferBytes, 1, this, nullptr, &Muxer::write_callback,
                               file_.is_stream() ? nullptr : &Muxer::seek_callback));
  if (!io_) {
    av_free(buffer);
    fail(ErrorKind::Memory, "no memory to write {}", path);
  }
  context_->pb = io_.get();
  context_->flags |= AVFMT_FLAG_CUSTOM_IO | AVFMT_FLAG_BITEXACT;
  if (file_.is_stream()) context_->flags |= AVFMT_FLAG_FLUSH_PACKETS;
  // Faststart reads the file back by its address while it moves the index to the front.
  if (!file_.is_stream()) context_->url = av_strdup(("file:" + file_.temporary_path()).c_str());
}

int Muxer::write_callback(void* self, av::WriteBuffer data, int size) {
  auto& muxer = *static_cast<Muxer*>(self);
  try {
    muxer.file_.write(data, static_cast<size_t>(size));
    return size;
  } catch (...) {
    // An exception must not cross libav's C frames: it is kept, and thrown when the call has come
    // back.
    if (!muxer.write_error_) muxer.write_error_ = std::current_exception();
    return AVERROR(EIO);
  }
}

int64_t Muxer::seek_callback(void* self, int64_t offset, int whence) {
  auto& file = static_cast<Muxer*>(self)->file_;
  if (whence == AVSEEK_SIZE) return file.size();
  if (whence != SEEK_SET) return AVERROR(EINVAL);
  const int64_t position = file.seek(offset);
  return position < 0 ? AVERROR(EIO) : position;
}

void Muxer::check(int result, const char* action, const av::LogCapture& log) {
  if (write_error_) std::rethrow_exception(write_error_);
  if (result >= 0 && io_->error < 0) result = io_->error;
  if (result < 0)
    fail(ErrorKind::Io, "{}: {} failed: {}", file_.path(), action, log.describe(result));
}

bool Muxer::wants_global_header() const { return context_->oformat->flags & AVFMT_GLOBALHEADER; }

void Muxer::set_metadata(const char* key, const std::string& value) {
  if (!value.empty()) av_dict_set(&context_->metadata, key, value.c_str(), 0);
}

void Muxer::set_option(const char* key, int64_t value) {
  av_opt_set_int(context_->priv_data, key, value, 0);
}

AVStream* Muxer::add_stream(const AVCodecContext& codec, const av::LogCapture& log) {
  AVStream* stream = avformat_new_stream(context_.get(), nullptr);
  if (!stream) fail(ErrorKind::Memory, "no memory to write {}", file_.path());
  check(avcodec_parameters_from_context(stream->codecpar, &codec), "describing a stream", log);
  stream->time_base = codec.time_base;
  return stream;
}

void Muxer::start(const Encoder& encoder, const SoundEncoder* sound) {
  const av::LogCapture log;
  const AVCodecContext& codec = encoder.context();
  stream_ = add_stream(codec, log);
  encoder_time_base_ = codec.time_base;
  if (sound) {
    sound_stream_ = add_stream(sound->context(), log);
    sound_time_base_ = sound->context().time_base;
  }
  stream_->avg_frame_rate = stream_->r_frame_rate = codec.framerate;
  stream_->sample_aspect_ratio = codec.sample_aspect_ratio;
  // Apple's players take HEVC in mp4 and mov only with its parameter sets in the header, which this
  // tag promises.
  if (codec.codec_id == AV_CODEC_ID_HEVC && (row_.extension == "mp4" || row_.extension == "mov")) {
    stream_->codecpar->codec_tag = MKTAG('h', 'v', 'c', '1');
  }
  av::Dictionary options(row_.options);
  check(avformat_write_header(context_.get(), options.address()), "writing the header", log);
}

void Muxer::write(AVPacket& packet, AVStream* stream, AVRational time_base) {
  const av::LogCapture log;
  packet.stream_index = stream->index;
  av_packet_rescale_ts(&packet, time_base, stream->time_base);
  check(av_interleaved_write_frame(context_.get(), &packet), "writing", log);
}

void Muxer::finish(const std::function<void(const std::string& path)>& seal) {
  const av::LogCapture log;
  check(av_write_trailer(context_.get()), "completing the file", log);
  avio_flush(io_.get());
  check(0, "completing the file", log);
  if (seal && !file_.is_stream()) seal(file_.temporary_path());
  file_.commit();
}

}  // namespace sora
