#include "lib/media/media_input.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "lib/media/file_end.h"

namespace sora {
namespace {

constexpr int kReadBufferBytes = 64 << 10;

// Demuxers that keep to the one file they were given. Absent on purpose: hls, dash, concat, image2,
// sdp, rtsp, tee.
constexpr char kDemuxerWhitelist[] =
    "mov,matroska,avi,gif,apng,yuv4mpegpipe,mpegts,mpeg,mpegvideo,flv,live_flv,ogg,asf,ivf,nut,mxf,"
    "dv,h264,hevc,obu,av1,"
    "m4v,mjpeg,webp_pipe,png_pipe,jpeg_pipe,jpegls_pipe,jpegxl_pipe,bmp_pipe,tiff_pipe,pam_pipe,"
    "ppm_pipe,pgm_pipe,pgmyuv_pipe,"
    "qoi_pipe,j2k_pipe,dpx_pipe,exr_pipe,psd_pipe,sgi_pipe,sunrast_pipe";

// As libav matches its lists: some names are several, one of which is enough.
bool is_listed(std::string_view names, std::string_view list) {
  const std::string entries = fmt::format(",{},", list);
  for (size_t begin = 0; begin <= names.size();) {
    const size_t end = std::min(names.find(',', begin), names.size());
    if (entries.find(fmt::format(",{},", names.substr(begin, end - begin))) != std::string::npos)
      return true;
    begin = end + 1;
  }
  return false;
}

// The name of what the file is, where that is no format on the list; else empty.
std::string unlisted_format(AVIOContext* file) {
  if (avio_seek(file, 0, SEEK_SET) < 0) return "";
  decltype(av_find_input_format("")) format = nullptr;  // without const in FFmpeg 4.4
  const av::LogCapture log;
  av_probe_input_buffer2(file, &format, "", nullptr, 0, 0);
  return format && !is_listed(format->name, kDemuxerWhitelist) ? format->name : "";
}

int refuse_open(AVFormatContext*, AVIOContext**, const char*, int, AVDictionary**) {
  return AVERROR(EPERM);
}

}  // namespace

const char* const kDecoderWhitelist =
    "h264,hevc,av1,libdav1d,libaom-av1,vp8,vp9,libvpx,libvpx-vp9,mpeg1video,mpeg2video,mpeg4,h261,"
    "h263,h263p,flv,mjpeg,"
    "mjpegb,prores,dnxhd,cfhd,ffv1,huffyuv,ffvhuff,utvideo,magicyuv,rawvideo,wrapped_avframe,v210,"
    "v210x,v410,r210,png,"
    "apng,gif,webp,bmp,tiff,targa,jpeg2000,libopenjpeg,jpegls,libjxl,qoi,ppm,pgm,pgmyuv,pam,dpx,"
    "exr,psd,sgi,sunrast,"
    "theora,vp3,wmv1,wmv2,wmv3,vc1,msmpeg4v1,msmpeg4v2,msmpeg4,dvvideo,qtrle,rpza,cinepak,svq1,"
    "svq3,indeo3,cljr,lagarith,"
    "aac,aac_latm,mp3,mp3float,mp2,mp2float,mp1,mp1float,opus,libopus,vorbis,libvorbis,flac,alac,"
    "ac3,eac3,dca,truehd,mlp,amrnb,amrwb,wmav1,wmav2,adpcm_ms,adpcm_ima_wav,adpcm_ima_qt,"
    "pcm_s16le,pcm_s16be,pcm_s24le,pcm_s24be,pcm_s32le,pcm_s32be,pcm_f32le,pcm_f32be,pcm_f64le,"
    "pcm_u8,pcm_s8,pcm_alaw,pcm_mulaw,pcm_dvd,pcm_bluray";

void check_listed(const AVCodec& decoder, const std::string& path) {
  if (is_listed(decoder.name, kDecoderWhitelist)) return;
  fail(ErrorKind::Input, "{} holds {}, which is not among the codecs that are read", path,
       avcodec_get_name(decoder.id));
}

MediaInput::MediaInput(const std::string& path)
    : path_(path), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
  if (fd_ < 0) {
    const int error_number = errno;
    fail(error_number == ENOENT || error_number == ENOTDIR ? ErrorKind::NotFound : ErrorKind::Io,
         "{} cannot be read: {}", path_, std::strerror(error_number));
  }
  try {
    struct stat status {};
    if (::fstat(fd_, &status) != 0)
      fail(ErrorKind::Io, "{} cannot be read: {}", path_, std::strerror(errno));
    if (S_ISDIR(status.st_mode))
      fail(ErrorKind::Input, "{} is a folder, expected a video or an image", path_);
    seekable_ = S_ISREG(status.st_mode);
    size_ = seekable_ ? status.st_size : 0;
    if (seekable_ && size_ == 0)
      fail(ErrorKind::Input, "{} is empty, expected a video or an image", path_);

    const av::LogCapture log;
    auto* buffer = static_cast<unsigned char*>(av_malloc(kReadBufferBytes));
    io_.reset(avio_alloc_context(buffer, kReadBufferBytes, 0, this, &MediaInput::read_callback,
                                 nullptr, seekable_ ? &MediaInput::seek_callback : nullptr));
    if (!io_) {
      av_free(buffer);
      fail(ErrorKind::Memory, "no memory to read {}", path_);
    }
    AVFormatContext* context = avformat_alloc_context();
    if (!context) fail(ErrorKind::Memory, "no memory to read {}", path_);
    context->pb = io_.get();
    context->flags |= AVFMT_FLAG_CUSTOM_IO;
    context->io_open = refuse_open;
    context->max_streams = 100;
    context->probesize = 5'000'000;
    context->max_analyze_duration = 5 * AV_TIME_BASE;
    av::Dictionary options;
    options.set("format_whitelist", kDemuxerWhitelist);
    options.set("codec_whitelist", kDecoderWhitelist);
    options.set("protocol_whitelist", "none");
    const int result = avformat_open_input(&context, "", nullptr, options.address());
    context_.reset(context);  // null after a failure
    if (result < 0) {
      if (const std::string format = unlisted_format(io_.get()); !format.empty()) {
        fail(ErrorKind::Input, "{} is {}, which is not among the formats that are read", path_,
             format);
      }
      // No memory here means a header that claims tables larger than any real file has.
      fail(ErrorKind::Input, "{} cannot be read as a video or an image: {}", path_,
           result == AVERROR(ENOMEM) ? "its header claims more than memory holds; is it damaged?"
                                     : log.describe(result));
    }
  } catch (...) {
    ::close(fd_);
    throw;
  }
}

MediaInput::~MediaInput() {
  context_.reset();
  io_.reset();
  ::close(fd_);
}

int MediaInput::read_callback(void* self, uint8_t* data, int size) {
  const int fd = static_cast<MediaInput*>(self)->fd_;
  ssize_t count;
  do {
    count = ::read(fd, data, static_cast<size_t>(size));
  } while (count < 0 && errno == EINTR);
  if (count < 0) return AVERROR(errno);
  return count == 0 ? AVERROR_EOF : static_cast<int>(count);
}

int64_t MediaInput::seek_callback(void* self, int64_t offset, int whence) {
  const auto& input = *static_cast<MediaInput*>(self);
  if (whence == AVSEEK_SIZE) return input.size_;
  const int64_t position = ::lseek(input.fd_, offset, whence & ~AVSEEK_FORCE);
  return position < 0 ? AVERROR(errno) : position;
}

void MediaInput::find_streams() {
  const av::LogCapture log;
  const int result = avformat_find_stream_info(context_.get(), nullptr);
  if (result < 0) fail(ErrorKind::Input, "{} cannot be read: {}", path_, log.describe(result));
  check_whole();
}

// An index that points past the end, or an end that is not there, means a download that stopped;
// players would show the first part without a word.
void MediaInput::check_whole() const {
  if (!seekable_) return;
  for (unsigned i = 0; i < context_->nb_streams; ++i) {
    const int64_t end = av::index_end(*context_->streams[i]);
    if (end > size_) {
      fail(ErrorKind::Input,
           "{} is cut off: it has {} bytes and its index points to byte {}; copy it again", path_,
           size_, end);
    }
  }
  if (const std::string missing = missing_end(context_->iformat->name, fd_, size_);
      !missing.empty()) {
    fail(ErrorKind::Input, "{} is cut off: it has {} bytes and {}; copy it again", path_, size_,
         missing);
  }
}

AVStream* MediaInput::sound_stream() {
  AVStream* first = nullptr;
  for (unsigned i = 0; i < context_->nb_streams; ++i) {
    AVStream* stream = context_->streams[i];
    if (stream->codecpar->codec_type != AVMEDIA_TYPE_AUDIO) continue;
    if (stream->disposition & AV_DISPOSITION_DEFAULT) return stream;
    if (!first) first = stream;
  }
  return first;
}

AVStream& MediaInput::video_stream() {
  AVStream *first = nullptr, *cover = nullptr;
  for (unsigned i = 0; i < context_->nb_streams; ++i) {
    AVStream* stream = context_->streams[i];
    if (stream->codecpar->codec_type != AVMEDIA_TYPE_VIDEO) continue;
    const bool is_cover = stream->disposition & AV_DISPOSITION_ATTACHED_PIC;
    if (!is_cover && stream->disposition & AV_DISPOSITION_DEFAULT) return *stream;
    AVStream*& earliest = is_cover ? cover : first;
    if (!earliest) earliest = stream;
  }
  if (first) return *first;
  if (!cover) fail(ErrorKind::Input, "{} holds no video stream", path_);
  return *cover;
}

}  // namespace sora
