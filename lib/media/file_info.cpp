// What a file says of itself.
#include <sys/stat.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/core/numbered_names.h"
#include "lib/media/media_input.h"
#include "lib/media/metadata.h"
#include "lib/media/orientation.h"
#include "lib/media/stream_timing.h"
#include "lib/media/video_reader.h"
#include "lib/media/webp_info.h"

namespace sora {
namespace {

std::string text(const char* name) { return name ? name : "unknown"; }

void describe_stream(MediaInput& input, AVStream& stream, FileInfo& info) {
  const AVCodecParameters& parameters = *stream.codecpar;
  info.container = input.context().iformat->name;
  info.codec = avcodec_get_name(parameters.codec_id);
  info.pixel_format = text(av_get_pix_fmt_name(static_cast<AVPixelFormat>(parameters.format)));
  info.is_interlaced =
      parameters.field_order == AV_FIELD_TT || parameters.field_order == AV_FIELD_BB ||
      parameters.field_order == AV_FIELD_TB || parameters.field_order == AV_FIELD_BT;
  info.color_range = text(av_color_range_name(parameters.color_range));
  info.color_space = text(av_color_space_name(parameters.color_space));
  info.color_transfer = text(av_color_transfer_name(parameters.color_trc));
  info.color_primaries = text(av_color_primaries_name(parameters.color_primaries));

  const Orientation orientation = orientation_of(input, stream);
  info.rotation = degrees(orientation);
  info.width = square_pixel_width(parameters.width,
                                  av_guess_sample_aspect_ratio(&input.context(), &stream, nullptr));
  info.height = parameters.height;
  if (orientation.transposed) std::swap(info.width, info.height);
}

struct Packets {
  int64_t count = 0;
  double duration_s = 0;  // from the first picture's beginning to the last one's end; 0: not known
};

// Those of the video stream that are shown, without decoding them. A damaged end counts as the end
// here.
Packets read_packets(MediaInput& input, const AVStream& stream) {
  for (unsigned i = 0; i < input.context().nb_streams; ++i) {
    AVStream* other = input.context().streams[i];
    if (other != &stream) other->discard = AVDISCARD_ALL;
  }
  const av::LogCapture log;
  const av::Packet packet = av::make_packet();
  Packets packets;
  double begin = INFINITY, end = -INFINITY;
  for (; av_read_frame(&input.context(), packet.get()) >= 0; av_packet_unref(packet.get())) {
    if (packet->stream_index != stream.index || packet->flags & AV_PKT_FLAG_DISCARD) continue;
    ++packets.count;
    if (packet->pts == AV_NOPTS_VALUE) continue;
    begin = std::min(begin, double(packet->pts));
    end = std::max(end, double(packet->pts) + double(packet->duration));
  }
  if (end > begin) packets.duration_s = (end - begin) * av_q2d(stream.time_base);
  return packets;
}

// Whether the header's count is that of the frames in the stream's length. An edit list may hide
// some of them.
bool is_count_plain(const AVStream& stream, Rational fps) {
  if (stream.nb_frames < 1) return false;
  if (stream.duration <= 0) return true;
  const double duration_s = double(stream.duration) * av_q2d(stream.time_base);
  return std::abs(duration_s * fps.value() - double(stream.nb_frames)) <= 1;
}

void describe_time(MediaInput& input, AVStream& stream, FileInfo& info) {
  info.fps = frame_rate_of(input, stream);
  const Packets packets =
      is_count_plain(stream, info.fps) ? Packets{stream.nb_frames, 0} : read_packets(input, stream);
  info.num_frames = packets.count;
  if (packets.duration_s > 0) {  // libav may give the stream the length of a longer sound
    info.duration_s = packets.duration_s;
  } else if (stream.duration > 0) {
    info.duration_s = double(stream.duration) * av_q2d(stream.time_base);
  } else if (input.context().duration > 0) {
    info.duration_s = double(input.context().duration) / AV_TIME_BASE;
  } else {
    info.duration_s = double(info.num_frames) / info.fps.value();
  }
}

}  // namespace

std::string first_file(const std::string& name) {
  std::error_code none;
  if (!names_sequence(name) || std::filesystem::exists(name, none)) return name;
  return sequence_path(name, kFirstSequenceNumber);
}

FileInfo probe(const std::string& name) {
  const std::string path = first_file(name);
  FileInfo info;
  info.path = path;
  MediaInput input(path);
  info.size_bytes = input.size();
  if (!describe_animated_webp(path, info)) {
    input.find_streams();
    AVStream& stream = input.video_stream();
    describe_stream(input, stream, info);
    describe_time(input, stream, info);
    for (unsigned i = 0; i < input.context().nb_streams; ++i) {
      info.num_audio_streams +=
          input.context().streams[i]->codecpar->codec_type == AVMEDIA_TYPE_AUDIO;
    }
  }
  if (const AVDictionaryEntry* title = av_dict_get(input.context().metadata, "title", nullptr, 0)) {
    info.title = title->value;
  }
  info.metadata_json = embedded_metadata(input);
  if (!info.metadata_json.empty()) {
    info.metadata_path = path;
  } else if (info.metadata_json = sidecar_metadata(path); !info.metadata_json.empty()) {
    info.metadata_path = sidecar_path(path);
  }
  return info;
}

nlohmann::json to_json(const FileInfo& info) {
  nlohmann::json json = {{"path", info.path},
                         {"container", info.container},
                         {"codec", info.codec},
                         {"pixel_format", info.pixel_format},
                         {"size_bytes", info.size_bytes},
                         {"width", info.width},
                         {"height", info.height},
                         {"rotation", info.rotation},
                         {"fps", to_string(info.fps)},
                         {"num_frames", info.num_frames},
                         {"duration_s", info.duration_s},
                         {"interlaced", info.is_interlaced},
                         {"color_range", info.color_range},
                         {"color_space", info.color_space},
                         {"color_transfer", info.color_transfer},
                         {"color_primaries", info.color_primaries},
                         {"num_audio_streams", info.num_audio_streams}};
  if (!info.title.empty()) json["title"] = info.title;
  if (!info.metadata_json.empty()) {
    json["metadata"] = parse_json(info.metadata_json, info.metadata_path);
    json["metadata_path"] = info.metadata_path;
  }
  return json;
}

}  // namespace sora
