#include "lib/media/ffmpeg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdarg>
#include <mutex>
#include <vector>

namespace sora::av {
namespace {

thread_local LogCapture* t_capture = nullptr;
std::mutex g_last_mutex;
std::string g_last;  // of libav's own threads, which know no capture

// Mixed down, no sample gets beyond full scale, which libswresample sees to by itself for whole
// numbers alone; one channel goes into each of several as it is, not 3 dB softer.
bool start(SwrContext* context, int from_channels, int to_channels) {
  if (!context || av_opt_set_double(context, "rematrix_maxval", 1, 0) < 0) return false;
  const std::vector<double> copies(static_cast<size_t>(to_channels), 1.0);
  if (from_channels == 1 && swr_set_matrix(context, copies.data(), 1) < 0) return false;
  return swr_init(context) >= 0;
}

}  // namespace

void capture_log(void* object, int level, const char* format, va_list arguments) {
  if (level > AV_LOG_ERROR) return;
  char line[512];
  int print_prefix = 0;
  av_log_format_line2(object, level, format, arguments, line, sizeof(line), &print_prefix);
  std::string text(line);
  while (!text.empty() && (text.back() == '\n' || text.back() == ' ')) text.pop_back();
  if (text.empty()) return;
  if (t_capture) {
    t_capture->last_ = text;
  } else {
    const std::lock_guard lock(g_last_mutex);
    g_last = text;
  }
}

void silence_log() {
  static std::once_flag once;
  std::call_once(once, [] { av_log_set_callback(capture_log); });
}

LogCapture::LogCapture() : outer_(t_capture) {
  silence_log();
  const std::lock_guard lock(g_last_mutex);
  g_last.clear();
  t_capture = this;
}

LogCapture::~LogCapture() { t_capture = outer_; }

std::string LogCapture::describe(int error) const {
  std::string detail = last_;
  if (detail.empty()) {
    const std::lock_guard lock(g_last_mutex);
    detail = g_last;
  }
  const std::string text = error_text(error);
  return detail.empty() || detail == text ? text : fmt::format("{} ({})", text, detail);
}

std::string error_text(int error) {
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(error, text, sizeof(text));
  return text;
}

Frame make_frame() {
  Frame frame(av_frame_alloc());
  if (!frame) fail(ErrorKind::Memory, "no memory for a video frame");
  return frame;
}

Packet make_packet() {
  Packet packet(av_packet_alloc());
  if (!packet) fail(ErrorKind::Memory, "no memory for a video packet");
  return packet;
}

Frame make_frame(int width, int height, AVPixelFormat format) {
  Frame frame = make_frame();
  frame->width = width;
  frame->height = height;
  frame->format = format;
  if (av_frame_get_buffer(frame.get(), 64) < 0) {
    fail(ErrorKind::Memory, "no memory for a video frame of {}x{} pixels", width, height);
  }
  return frame;
}

Dictionary::Dictionary(std::string_view options) {
  const std::string text(options);
  if (av_dict_parse_string(&dictionary_, text.c_str(), "=", ":", 0) < 0) {
    fail(ErrorKind::Internal, "the option list '{}' cannot be parsed", text);
  }
}

void Dictionary::set(const std::string& key, const std::string& value) {
  if (av_dict_set(&dictionary_, key.c_str(), value.c_str(), 0) < 0) {
    fail(ErrorKind::Memory, "no memory for the option {}", key);
  }
}

void Dictionary::append(const std::string& key, const std::string& value) {
  if (av_dict_set(&dictionary_, key.c_str(), value.c_str(), AV_DICT_APPEND) < 0) {
    fail(ErrorKind::Memory, "no memory for the option {}", key);
  }
}

const int32_t* display_matrix(const AVStream& stream) {
#if LIBAVFORMAT_VERSION_INT >= AV_VERSION_INT(60, 15, 100)
  const AVPacketSideData* data =
      av_packet_side_data_get(stream.codecpar->coded_side_data, stream.codecpar->nb_coded_side_data,
                              AV_PKT_DATA_DISPLAYMATRIX);
  return data && data->size >= 9 * sizeof(int32_t) ? reinterpret_cast<const int32_t*>(data->data)
                                                   : nullptr;
#elif LIBAVFORMAT_VERSION_MAJOR >= 59
  size_t size = 0;
  const uint8_t* data = av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
  return data && size >= 9 * sizeof(int32_t) ? reinterpret_cast<const int32_t*>(data) : nullptr;
#else
  int size = 0;
  const uint8_t* data = av_stream_get_side_data(&stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
  return data && size >= 9 * static_cast<int>(sizeof(int32_t))
             ? reinterpret_cast<const int32_t*>(data)
             : nullptr;
#endif
}

int64_t index_end(AVStream& stream) {
  int64_t end = 0;
#if LIBAVFORMAT_VERSION_MAJOR >= 59
  for (int i = 0; i < avformat_index_get_entries_count(&stream); ++i) {
    const AVIndexEntry& sample = *avformat_index_get_entry(&stream, i);
    end = std::max(end, sample.pos + sample.size);
  }
#else
  for (int i = 0; i < stream.nb_index_entries; ++i) {
    const AVIndexEntry& sample = stream.index_entries[i];
    end = std::max(end, sample.pos + sample.size);
  }
#endif
  return end;
}

#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 30, 100)
void set_duration(AVFrame& frame, int64_t duration) { frame.duration = duration; }
int64_t duration(const AVFrame& frame) { return frame.duration; }
#else
void set_duration(AVFrame& frame, int64_t duration) { frame.pkt_duration = duration; }
int64_t duration(const AVFrame& frame) { return frame.pkt_duration; }
#endif

#if LIBAVUTIL_VERSION_INT >= AV_VERSION_INT(57, 28, 100)
int num_channels(const AVCodecParameters& parameters) { return parameters.ch_layout.nb_channels; }
int num_channels(const AVFrame& frame) { return frame.ch_layout.nb_channels; }
void set_channels(AVCodecContext& context, int count) {
  av_channel_layout_default(&context.ch_layout, count);
}
void set_channels(AVFrame& frame, int count) { av_channel_layout_default(&frame.ch_layout, count); }

Resampler make_resampler(const AVFrame& frame, int rate, int channels) {
  AVChannelLayout from = {}, to = {};
  if (frame.ch_layout.order == AV_CHANNEL_ORDER_UNSPEC) {
    av_channel_layout_default(&from, frame.ch_layout.nb_channels);
  } else {
    av_channel_layout_copy(&from, &frame.ch_layout);
  }
  av_channel_layout_default(&to, channels);
  SwrContext* context = nullptr;
  const int result =
      swr_alloc_set_opts2(&context, &to, AV_SAMPLE_FMT_FLT, rate, &from,
                          static_cast<AVSampleFormat>(frame.format), frame.sample_rate, 0, nullptr);
  Resampler resampler(context);
  av_channel_layout_uninit(&from);
  if (result < 0 || !start(resampler.get(), num_channels(frame), channels)) return nullptr;
  return resampler;
}
#else
int num_channels(const AVCodecParameters& parameters) { return parameters.channels; }
int num_channels(const AVFrame& frame) { return frame.channels; }
void set_channels(AVCodecContext& context, int count) {
  context.channels = count;
  context.channel_layout = static_cast<uint64_t>(av_get_default_channel_layout(count));
}
void set_channels(AVFrame& frame, int count) {
  frame.channels = count;
  frame.channel_layout = static_cast<uint64_t>(av_get_default_channel_layout(count));
}

Resampler make_resampler(const AVFrame& frame, int rate, int channels) {
  const int64_t from = frame.channel_layout != 0 ? static_cast<int64_t>(frame.channel_layout)
                                                 : av_get_default_channel_layout(frame.channels);
  Resampler resampler(swr_alloc_set_opts(
      nullptr, av_get_default_channel_layout(channels), AV_SAMPLE_FMT_FLT, rate, from,
      static_cast<AVSampleFormat>(frame.format), frame.sample_rate, 0, nullptr));
  if (!start(resampler.get(), num_channels(frame), channels)) return nullptr;
  return resampler;
}
#endif

}  // namespace sora::av
