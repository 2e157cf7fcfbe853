// Opens one file for libav, and nothing else: the bytes come through a descriptor of our own, every
// further open that a demuxer asks for is refused, and only containers and codecs on a list are
// tried. So a playlist that calls itself clip.mp4 reads no other file of this machine.
#pragma once

#include <cstdint>
#include <string>

#include "lib/media/ffmpeg.h"

namespace sora {

class MediaInput {
 public:
  // Throws Error(NotFound), Error(Io), or Error(Input) for what is no media file.
  explicit MediaInput(const std::string& path);
  ~MediaInput();
  MediaInput(const MediaInput&) = delete;
  MediaInput& operator=(const MediaInput&) = delete;

  // Reads on until the streams are known; codec parameters are complete afterwards. Throws
  // Error(Input).
  void find_streams();
  // The video stream that players would show; cover pictures only where there is nothing else.
  // Throws Error(Input) where there is none.
  AVStream& video_stream();
  // The sound that players would let be heard: the default one, else the first; null where there is
  // none.
  AVStream* sound_stream();

  AVFormatContext& context() { return *context_; }
  const std::string& path() const { return path_; }
  int64_t size() const { return size_; }  // 0 of a pipe

 private:
  void check_whole() const;
  static int read_callback(void* self, uint8_t* data, int size);
  static int64_t seek_callback(void* self, int64_t offset, int whence);

  std::string path_;
  int fd_ = -1;
  bool seekable_ = false;
  int64_t size_ = 0;
  av::IoContext io_;
  av::InputContext context_;
};

// Decoders that may run on a file from anywhere, as libav's codec_whitelist.
extern const char* const kDecoderWhitelist;
// Throws Error(Input) for a decoder that is not one of them.
void check_listed(const AVCodec& decoder, const std::string& path);

}  // namespace sora
