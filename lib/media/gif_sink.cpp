// GIF with a palette made for the clip. libavfilter's palettegen counts the colours of every frame
// while the frames go to an unnamed file; then paletteuse dithers them one by one, so that memory
// does not grow with length.
#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <cstring>
#include <vector>

#include "lib/media/encoder.h"
#include "lib/media/filter_graph.h"
#include "lib/media/frame_sink.h"
#include "lib/media/muxer.h"
#include "lib/media/output_file.h"
#include "lib/media/rgb_to_frame.h"

namespace sora {
namespace {

// Frames of one size on disk, in a file that no name leads to: it is gone when this is.
class FrameStore {
 public:
  FrameStore(const std::string& folder, size_t frame_bytes)
      : folder_(folder), frame_bytes_(frame_bytes) {
    std::string pattern = folder + "/.gif.part-XXXXXX";
    fd_ = ::mkostemp(pattern.data(), O_CLOEXEC);
    if (fd_ < 0)
      fail(ErrorKind::Io, "the folder {} cannot be written: {}", folder, std::strerror(errno));
    ::unlink(pattern.c_str());
  }
  ~FrameStore() { ::close(fd_); }
  FrameStore(const FrameStore&) = delete;
  FrameStore& operator=(const FrameStore&) = delete;

  int64_t size() const { return count_; }

  void append(const uint8_t* frame) {
    for (size_t done = 0; done < frame_bytes_;) {
      const ssize_t written =
          ::pwrite(fd_, frame + done, frame_bytes_ - done, offset(count_) + off_t(done));
      if (written < 0 && errno != EINTR) {
        fail(ErrorKind::Io,
             "{}: keeping frames for the palette failed: {}; free some space or choose another "
             "folder",
             folder_, std::strerror(errno));
      }
      if (written > 0) done += static_cast<size_t>(written);
    }
    ++count_;
  }

  void read(int64_t index, uint8_t* frame) const {
    for (size_t done = 0; done < frame_bytes_;) {
      const ssize_t got =
          ::pread(fd_, frame + done, frame_bytes_ - done, offset(index) + off_t(done));
      if (got == 0 || (got < 0 && errno != EINTR)) {
        fail(ErrorKind::Io, "{}: reading frames back failed: {}", folder_,
             std::strerror(got == 0 ? EIO : errno));
      }
      if (got > 0) done += static_cast<size_t>(got);
    }
  }

 private:
  off_t offset(int64_t index) const { return off_t(index) * off_t(frame_bytes_); }

  std::string folder_;
  size_t frame_bytes_;
  int fd_ = -1;
  int64_t count_ = 0;
};

class GifSink : public FrameSink {
 public:
  explicit GifSink(const SinkOptions& options)
      : options_(options),
        convert_(options.width, options.height, AV_PIX_FMT_RGB24, kMatrixBt709, false),
        muxer_(*options.format.container, options.path, options.force),
        encoder_(*options.format.codec, encoder_options()),
        store_(folder_of(options.path), static_cast<size_t>(options.width * options.height * 3)),
        palettegen_({picture()}, "[in0]palettegen=stats_mode=full") {
    muxer_.start(encoder_, nullptr);
  }

  void write(const uint8_t* rgb_HWC) override {
    av::Frame frame = convert_(rgb_HWC);
    frame->pts = store_.size();
    palettegen_.push(0, std::move(frame));
    store_.append(rgb_HWC);
  }

  void finish() override {
    palettegen_.close(0);
    av::Frame palette = palettegen_.pull();
    if (!palette) fail(ErrorKind::Internal, "no palette came out for {}", options_.path);
    palette->pts = 0;
    FilterGraph paletteuse(
        {picture(), FilterInput{palette->width, palette->height,
                                static_cast<AVPixelFormat>(palette->format), options_.fps}},
        "[in0][in1]paletteuse=dither=sierra2_4a:diff_mode=rectangle,format=pal8");
    paletteuse.push(1, std::move(palette));
    paletteuse.close(1);
    std::vector<uint8_t> pixels(static_cast<size_t>(options_.width * options_.height * 3));
    for (int64_t i = 0; i < store_.size(); ++i) {
      store_.read(i, pixels.data());
      av::Frame frame = convert_(pixels.data());
      frame->pts = i;
      paletteuse.push(0, std::move(frame));
      drain(paletteuse);
    }
    paletteuse.close(0);
    drain(paletteuse);
    set_last_delay();
    encoder_.flush([this](AVPacket& packet) { muxer_.write(packet); });
    muxer_.finish(options_.seal);
  }

  int stored_width() const override { return convert_.width(); }
  int stored_height() const override { return convert_.height(); }

 private:
  FilterInput picture() const {
    return {convert_.width(), convert_.height(), AV_PIX_FMT_RGB24, options_.fps};
  }

  EncoderOptions encoder_options() const {
    return {.width = convert_.width(),
            .height = convert_.height(),
            .pixel_format = AV_PIX_FMT_PAL8,
            .tags = convert_.tags(),
            .fps = options_.fps,
            .quality = options_.quality};
  }

  void drain(FilterGraph& graph) {
    while (av::Frame frame = graph.pull()) {
      encoder_.encode(*frame, [this](AVPacket& packet) { muxer_.write(packet); });
    }
  }

  // Delays are whole hundredths of a second; the last frame's closes the clip's exact length.
  void set_last_delay() {
    const auto at = [&](int64_t frame) {
      return std::llround(double(frame) / options_.fps.value() * 100);
    };
    muxer_.set_option("final_delay", at(store_.size()) - at(store_.size() - 1));
  }

  SinkOptions options_;
  RgbToFrame convert_;
  Muxer muxer_;
  Encoder encoder_;
  FrameStore store_;
  FilterGraph palettegen_;
};

}  // namespace

std::unique_ptr<FrameSink> open_gif(const SinkOptions& options) {
  return std::make_unique<GifSink>(options);
}

}  // namespace sora
