// The one place that includes FFmpeg's headers: owners for its objects, its errors as exceptions,
// its log kept off the terminal, and the differences between FFmpeg 4.4 and 8.
#pragma once

extern "C" {
#include <libavcodec/avcodec.h>
#include <libavfilter/avfilter.h>
#include <libavfilter/buffersink.h>
#include <libavfilter/buffersrc.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libavutil/channel_layout.h>
#include <libavutil/cpu.h>
#include <libavutil/dict.h>
#include <libavutil/display.h>
#include <libavutil/imgutils.h>
#include <libavutil/log.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>
}

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "lib/core/error.h"
#include "lib/core/rational.h"

namespace sora::av {

// Owners. Each is a unique_ptr whose deleter is libav's own.
template <typename T, auto kFree>
struct Deleter {
  void operator()(T* object) const { kFree(&object); }
};
using Frame = std::unique_ptr<AVFrame, Deleter<AVFrame, av_frame_free>>;
using Packet = std::unique_ptr<AVPacket, Deleter<AVPacket, av_packet_free>>;
using CodecContext = std::unique_ptr<AVCodecContext, Deleter<AVCodecContext, avcodec_free_context>>;
using Resampler = std::unique_ptr<SwrContext, Deleter<SwrContext, swr_free>>;
using FilterGraph = std::unique_ptr<AVFilterGraph, Deleter<AVFilterGraph, avfilter_graph_free>>;
using InputContext =
    std::unique_ptr<AVFormatContext, Deleter<AVFormatContext, avformat_close_input>>;

struct OutputContextDeleter {
  void operator()(AVFormatContext* context) const { avformat_free_context(context); }
};
using OutputContext = std::unique_ptr<AVFormatContext, OutputContextDeleter>;

struct IoContextDeleter {
  void operator()(AVIOContext* context) const {
    av_freep(&context->buffer);
    avio_context_free(&context);
  }
};
using IoContext = std::unique_ptr<AVIOContext, IoContextDeleter>;

struct SwsDeleter {
  void operator()(SwsContext* context) const { sws_freeContext(context); }
};
using Sws = std::unique_ptr<SwsContext, SwsDeleter>;

Frame make_frame();  // these two throw Error(Memory)
Packet make_packet();
// With buffers of their own, rows aligned for any vector unit.
Frame make_frame(int width, int height, AVPixelFormat format);

// A dictionary of options; what a libav call has not understood remains in it.
class Dictionary {
 public:
  Dictionary() = default;
  // "key=value:key=value", a colon inside a value written as "\:".
  explicit Dictionary(std::string_view options);
  ~Dictionary() { av_dict_free(&dictionary_); }
  Dictionary(const Dictionary&) = delete;
  Dictionary& operator=(const Dictionary&) = delete;

  void set(const std::string& key, const std::string& value);
  void append(const std::string& key, const std::string& value);  // to the text that is there
  AVDictionary** address() { return &dictionary_; }

 private:
  AVDictionary* dictionary_ = nullptr;
};

// While one lives, keeps the last error that libav logs on this thread, or on a thread of its own.
class LogCapture {
 public:
  LogCapture();
  ~LogCapture();
  LogCapture(const LogCapture&) = delete;
  LogCapture& operator=(const LogCapture&) = delete;

  // "Invalid data found when processing input (moov atom not found)".
  std::string describe(int error) const;

 private:
  friend void capture_log(void*, int, const char*, va_list);
  std::string last_;
  LogCapture* outer_;
};

// Takes libav's log off stderr for this process. Every owner of libav objects calls it first.
void silence_log();

// libav's sentence for an error code.
std::string error_text(int error);

inline AVRational to_av(Rational rational) {
  return {static_cast<int>(rational.num), static_cast<int>(rational.den)};
}
inline Rational from_av(AVRational rational) {
  return {rational.num, rational.den == 0 ? 1 : rational.den};
}

// Versions.
#if LIBAVFORMAT_VERSION_MAJOR >= 61
using WriteBuffer = const uint8_t*;
#else
using WriteBuffer = uint8_t*;
#endif

// The display matrix of a stream, or null.
const int32_t* display_matrix(const AVStream& stream);
// The end of the furthest sample in a stream's index, in bytes; 0 where the file has no index.
int64_t index_end(AVStream& stream);
void set_duration(AVFrame& frame, int64_t duration);
int64_t duration(const AVFrame& frame);
// Channels of sound: 1 or 2 are mono and stereo.
int num_channels(const AVCodecParameters& parameters);
int num_channels(const AVFrame& frame);
void set_channels(AVCodecContext& context, int count);
void set_channels(AVFrame& frame, int count);
// From what the frame is to interleaved f32. Null where libswresample refuses.
Resampler make_resampler(const AVFrame& frame, int rate, int channels);

}  // namespace sora::av
