// Numbered PNG files, lossless. They gather in a hidden folder beside their place and move there in
// finish(), so that a reader sees no half-written frame and an abandoned clip leaves none.
#include <fmt/format.h>
#include <stdlib.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "lib/core/numbered_names.h"
#include "lib/core/unfinished_files.h"
#include "lib/media/encoder.h"
#include "lib/media/frame_sink.h"
#include "lib/media/output_file.h"
#include "lib/media/rgb_to_frame.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

class SequenceSink : public FrameSink {
 public:
  explicit SequenceSink(const SinkOptions& options)
      : options_(options),
        folder_(folder_of(options.path)),
        convert_(options.width, options.height, AV_PIX_FMT_RGB24, kMatrixBt709, false),
        encoder_(*options.format.codec, encoder_options()) {
    std::error_code error;
    // The sequence's own folder is made; a missing parent is more likely a misspelt path.
    if (options.format.is_sequence && fs::create_directory(folder_, error)) made_folder_ = true;
    try {
      OutputFile::check(path(kFirstSequenceNumber), options.force);
      make_staging();
    } catch (...) {
      remove_all();
      throw;
    }
  }

  ~SequenceSink() override { remove_all(); }

  void write(const uint8_t* rgb_HWC) override {
    if (!options_.format.is_sequence && count_ == 1) {
      fail(ErrorKind::Usage,
           "{} holds a single frame; name a sequence with a number field, such as frames/%05d.png",
           options_.path);
    }
    const int64_t number = kFirstSequenceNumber + count_;
    OutputFile::check(path(number), options_.force);
    const std::string staged = this->staged(number);
    OutputFile file(staged, true);
    const av::Frame frame = convert_(rgb_HWC);
    encoder_.encode(*frame, [&](AVPacket& packet) {
      file.write(packet.data, static_cast<size_t>(packet.size));
    });
    if (file.size() == 0) fail(ErrorKind::Internal, "the PNG encoder kept back frame {}", number);
    file.commit();
    ++count_;
  }

  void finish() override {
    if (options_.seal && !options_.format.is_sequence) options_.seal(staged(kFirstSequenceNumber));
    for (int64_t number = kFirstSequenceNumber; number < kFirstSequenceNumber + count_; ++number) {
      rename_into_place(staged(number), path(number), options_.force);
      made_folder_ = false;
    }
    if (options_.format.is_sequence && options_.force) remove_former_end();
    sync_path(folder_);
    std::error_code error;
    fs::remove(staging_, error);
    staging_.clear();
  }

  int stored_width() const override { return convert_.width(); }
  int stored_height() const override { return convert_.height(); }

 private:
  EncoderOptions encoder_options() const {
    return {.width = convert_.width(),
            .height = convert_.height(),
            .pixel_format = convert_.format(),
            .tags = convert_.tags(),
            .fps = options_.fps,
            .quality = options_.quality};
  }

  std::string path(int64_t number) const {
    return options_.format.is_sequence ? sequence_path(options_.path, number) : options_.path;
  }

  std::string staged(int64_t number) const {
    return (fs::path(staging_) / fs::path(path(number)).filename()).string();
  }

  void make_staging() {
    std::string pattern = (fs::path(folder_) / ".frames.part-XXXXXX").string();
    if (!::mkdtemp(pattern.data())) {
      fail(ErrorKind::Io, "the folder {} cannot be written: {}; choose another for {}", folder_,
           std::generic_category().message(errno), options_.path);
    }
    staging_ = pattern;
    unfinished_ = UnfinishedFile(staging_);
  }

  // A longer sequence of the same name would else go on after this one's end.
  void remove_former_end() {
    std::error_code error;
    for (int64_t number = kFirstSequenceNumber + count_; fs::remove(path(number), error);
         ++number) {
    }
  }

  void remove_all() {
    std::error_code error;
    if (!staging_.empty()) fs::remove_all(staging_, error);
    if (made_folder_) fs::remove(folder_, error);  // only if empty
  }

  SinkOptions options_;
  std::string folder_;
  std::string staging_;
  UnfinishedFile unfinished_;  // the staging folder
  bool made_folder_ = false;
  int64_t count_ = 0;
  RgbToFrame convert_;
  Encoder encoder_;
};

}  // namespace

std::unique_ptr<FrameSink> open_sequence(const SinkOptions& options) {
  return std::make_unique<SequenceSink>(options);
}

}  // namespace sora
