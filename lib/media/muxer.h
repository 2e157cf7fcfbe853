// One libavformat muxer with a video stream, and perhaps one of sound, over an OutputFile.
#pragma once

#include <exception>
#include <functional>
#include <string>

#include "lib/media/encoder.h"
#include "lib/media/ffmpeg.h"
#include "lib/media/output_file.h"
#include "lib/media/sound_encoder.h"
#include "lib/media/video_format.h"

namespace sora {

class Muxer {
 public:
  // Throws as OutputFile does, Error(NotFound) where this FFmpeg lacks the muxer.
  Muxer(const VideoContainer& container, const std::string& path, bool force);

  bool wants_global_header() const;
  void set_metadata(const char* key, const std::string& value);
  // Writes the header for the encoders' streams. `sound` may be null.
  void start(const Encoder& encoder, const SoundEncoder* sound);
  // Timed in the encoder's time base.
  void write(AVPacket& packet) { write(packet, stream_, encoder_time_base_); }
  void write_sound(AVPacket& packet) { write(packet, sound_stream_, sound_time_base_); }
  void set_option(const char* key, int64_t value);  // of the muxer
  // Trailer, disk, name. `seal`, where there is one, gets the complete file under its temporary
  // name.
  void finish(const std::function<void(const std::string& path)>& seal = {});

 private:
  static int write_callback(void* self, av::WriteBuffer data, int size);
  static int64_t seek_callback(void* self, int64_t offset, int whence);
  void check(int result, const char* action, const av::LogCapture& log);
  AVStream* add_stream(const AVCodecContext& codec, const av::LogCapture& log);
  void write(AVPacket& packet, AVStream* stream, AVRational time_base);

  VideoContainer row_;
  OutputFile file_;
  std::exception_ptr write_error_;
  av::IoContext io_;
  av::OutputContext context_;
  AVStream* stream_ = nullptr;
  AVRational encoder_time_base_{1, 1};
  AVStream* sound_stream_ = nullptr;
  AVRational sound_time_base_{1, 1};
};

}  // namespace sora
