// Frames and sound into a container: colour conversion, encoders, muxer. Sound is encoded as far as
// the frames have come, so that neither stream waits in memory for the other.
#include <ATen/ATen.h>

#include <optional>

#include "lib/media/encoder.h"
#include "lib/media/frame_sink.h"
#include "lib/media/muxer.h"
#include "lib/media/rgb_to_frame.h"
#include "lib/media/sound.h"
#include "lib/media/sound_encoder.h"

namespace sora {
namespace {

class ContainerSink : public FrameSink {
 public:
  explicit ContainerSink(const SinkOptions& options)
      : convert_(options.width, options.height, pixel_format(options), matrix(options),
                 options.format.codec->even_sides, is_y4m(options)),
        muxer_(*options.format.container, options.path, options.force),
        encoder_(*options.format.codec, encoder_options(options)),
        fps_(options.fps),
        sound_NC_(options.sound_NC),
        seal_(options.seal) {
    if (sound_NC_.defined())
      sound_.emplace(*options.format.sound, sound_NC_.size(1), muxer_.wants_global_header());
    muxer_.set_metadata("title", options.title);
    muxer_.set_metadata("comment", options.comment);
    muxer_.start(encoder_, sound_ ? &*sound_ : nullptr);
  }

  void write(const uint8_t* rgb_HWC) override {
    const av::Frame frame = convert_(rgb_HWC);
    encoder_.encode(*frame, [this](AVPacket& packet) { muxer_.write(packet); });
    ++num_frames_;
    if (sound_)
      write_sound(
          static_cast<int64_t>(static_cast<double>(num_frames_ * kSoundRate) / fps_.value()));
  }

  void finish() override {
    encoder_.flush([this](AVPacket& packet) { muxer_.write(packet); });
    if (sound_) {
      write_sound(sound_NC_.size(0));
      sound_->flush([this](AVPacket& packet) { muxer_.write_sound(packet); });
    }
    muxer_.finish(seal_);
  }

  int stored_width() const override { return convert_.width(); }
  int stored_height() const override { return convert_.height(); }

 private:
  void write_sound(int64_t stop) {
    sound_->encode_up_to(sound_NC_, stop, [this](AVPacket& packet) { muxer_.write_sound(packet); });
  }

  static AVPixelFormat pixel_format(const SinkOptions& options) {
    return av_get_pix_fmt(std::string(options.format.codec->pixel_format).c_str());
  }

  static bool is_y4m(const SinkOptions& options) {
    return options.format.container->extension == "y4m";
  }

  // y4m carries no tag: it is written in the matrix that its readers will assume.
  static int matrix(const SinkOptions& options) {
    return is_y4m(options) ? guess_matrix(options.width, options.height) : kMatrixBt709;
  }

  EncoderOptions encoder_options(const SinkOptions& options) const {
    return {.width = convert_.width(),
            .height = convert_.height(),
            .pixel_format = convert_.format(),
            .tags = convert_.tags(),
            .fps = options.fps,
            .quality = options.quality,
            .global_header = muxer_.wants_global_header()};
  }

  RgbToFrame convert_;
  Muxer muxer_;
  Encoder encoder_;
  Rational fps_;
  int64_t num_frames_ = 0;
  at::Tensor sound_NC_;
  std::optional<SoundEncoder> sound_;
  std::function<void(const std::string& path)> seal_;
};

}  // namespace

FrameSink::~FrameSink() = default;

std::unique_ptr<FrameSink> open_container(const SinkOptions& options) {
  return std::make_unique<ContainerSink>(options);
}

}  // namespace sora
