#include "lib/media/video_writer.h"

#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <deque>
#include <exception>
#include <filesystem>
#include <mutex>
#include <thread>

#include "lib/core/error.h"
#include "lib/core/numbered_names.h"
#include "lib/core/utf8.h"
#include "lib/media/frame_sink.h"
#include "lib/media/media_input.h"
#include "lib/media/metadata.h"
#include "lib/media/output_file.h"
#include "lib/media/sound_encoder.h"

namespace sora {
namespace {

// Enough to keep the encoder busy while the next chunk is decoded, little beside the model's own
// memory.
constexpr int64_t kQueueBytes = 128 << 20;
constexpr size_t kMaxTitleBytes = 200;
constexpr int64_t kMaxSide = 16'384;
constexpr double kMaxFps = 1000;

void check_options(const WriterOptions& options) {
  if (options.width < 1 || options.height < 1 || options.width > kMaxSide ||
      options.height > kMaxSide) {
    fail(ErrorKind::Usage, "{}: a picture of {}x{} cannot be written; sides go from 1 to {}",
         options.path, options.width, options.height, kMaxSide);
  }
  const double fps = options.fps.value();
  if (!(fps > 0 && fps <= kMaxFps) || options.fps.num > INT32_MAX || options.fps.den > INT32_MAX) {
    fail(ErrorKind::Usage, "{}: {} frames a second cannot be written; the rate goes up to {}",
         options.path, to_string(options.fps), kMaxFps);
  }
}

std::string size_text(double bytes) {
  return bytes < 1e6 ? fmt::format("{:.1f} kB", bytes / 1e3)
                     : fmt::format("{:.1f} MB", bytes / 1e6);
}

// Refuses a disk that cannot hold even what the format comes to at least. A file system without a
// size, such as /proc, says by itself that it takes no file.
void check_free_space(const WriterOptions& options, const VideoFormat& format) {
  struct statvfs status {};
  if (format.is_stdout || ::statvfs(folder_of(options.path).c_str(), &status) != 0) return;
  if (status.f_blocks == 0) return;
  const double free_bytes = double(status.f_bavail) * double(status.f_frsize);
  const double least_bytes = double(options.expected_frames) * double(options.width) *
                             double(options.height) * format.codec->least_bits_per_pixel / 8;
  if (free_bytes < least_bytes) {
    throw DiskFull(
        fmt::format("{}: the disk has {} free and the clip needs at least {}; free some space or "
                    "choose another "
                    "folder",
                    options.path, size_text(free_bytes), size_text(least_bytes)));
  }
}

bool is_inside(const VideoFormat& format) {
  return format.container->metadata == MetadataPlace::Inside;
}

bool needs_sidecar(const WriterOptions& options, const VideoFormat& format) {
  return !options.metadata_json.empty() && !format.is_stdout && !is_inside(format);
}

// Nothing where the folder is still to be made.
void check_sequence(const WriterOptions& options, const VideoFormat& format) {
  std::error_code none;
  if (!std::filesystem::is_directory(folder_of(options.path), none)) return;
  if (needs_sidecar(options, format)) {
    OutputFile::check(sidecar_path(sequence_path(options.path, kFirstSequenceNumber)),
                      options.force);
  }
  for (int64_t i = 0; i < options.expected_frames; ++i)
    OutputFile::check(sequence_path(options.path, kFirstSequenceNumber + i), options.force);
}

// A sequence's own folder is made, below one that is there.
void check_folder(const WriterOptions& options, const VideoFormat& format) {
  if (format.is_stdout) return;
  std::string folder = folder_of(options.path);
  std::error_code none;
  if (format.is_sequence && !std::filesystem::exists(folder, none)) {
    OutputFile::check(folder, options.force);
    folder = folder_of(folder);
  }
  if (::access(folder.c_str(), W_OK | X_OK) != 0) {
    fail(ErrorKind::Io, "the folder {} cannot be written: {}; choose another for {}", folder,
         std::strerror(errno), options.path);
  }
}

}  // namespace

void check_writable(const WriterOptions& options) {
  check_options(options);
  const VideoFormat format = format_for(options.path, options.codec);
  if (format.is_sequence) {
    check_sequence(options, format);
  } else {
    OutputFile::check(options.path, options.force);
    if (needs_sidecar(options, format))
      OutputFile::check(sidecar_path(options.path), options.force);
    if (format.container->muxer.empty() && options.expected_frames > 1) {
      fail(ErrorKind::Usage,
           "{} holds a single frame, and the clip has {}; name a sequence with a number field, "
           "such as frames/%05d.png",
           options.path, options.expected_frames);
    }
  }
  check_folder(options, format);
  check_free_space(options, format);
}

class VideoWriter::Impl {
 public:
  explicit Impl(const WriterOptions& options) : options_(options) {
    check_writable(options);
    const VideoFormat format = format_for(options.path, options.codec);
    const std::string first =
        format.is_sequence ? sequence_path(options.path, kFirstSequenceNumber) : options.path;
    const bool inside = is_inside(format);
    needs_sidecar_ = needs_sidecar(options, format);

    SinkOptions sink{.format = format,
                     .path = options.path,
                     .width = options.width,
                     .height = options.height,
                     .fps = options.fps,
                     .quality = options.quality,
                     .force = options.force,
                     .comment = inside ? options.metadata_json : "",
                     .title = std::string(utf8_prefix(options.title.value_or(""), kMaxTitleBytes)),
                     .seal = options.seal};
    add_sound(format, sink);
    const double max_fps = format.container->max_fps;
    if (max_fps > 0 && options.fps.value() > max_fps) {
      keep_every_ = static_cast<int64_t>(std::ceil(options.fps.value() / max_fps));
      sink.fps = Rational(options.fps.num, options.fps.den * keep_every_);
      notices_.push_back(fmt::format(
          "{}: .{} shows at most {:g} frames a second, so one frame in {} was written, {} a "
          "second",
          options.path, format.container->extension, max_fps, keep_every_, to_string(sink.fps)));
    }
    if (format.container->muxer.empty()) {
      sink_ = open_sequence(sink);
    } else if (format.codec->name == "gif") {
      sink_ = open_gif(sink);
    } else {
      sink_ = open_container(sink);
    }
    if (sink_->stored_width() != options.width || sink_->stored_height() != options.height) {
      notices_.push_back(fmt::format(
          "{}: {} wants even sides, so {}x{} is stored as {}x{}, the last column and row "
          "repeated",
          options.path, format.codec->name, options.width, options.height, sink_->stored_width(),
          sink_->stored_height()));
    }
    paths_.push_back(first);
    verify_inside_ = inside && !options.metadata_json.empty();
    thread_ = std::thread([this] { run(); });
  }

  ~Impl() {
    {
      const std::lock_guard lock(mutex_);
      abandoned_ = true;
      queue_.clear();
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  void write(const at::Tensor& frames_FHWC) {
    const bool fits = frames_FHWC.dim() == 4 && frames_FHWC.size(1) == options_.height &&
                      frames_FHWC.size(2) == options_.width && frames_FHWC.size(3) == 3 &&
                      frames_FHWC.scalar_type() == at::kByte && frames_FHWC.device().is_cpu();
    if (!fits) {
      fail(ErrorKind::Internal,
           "the writer of {} was given {} of {}, expected bytes of [F, {}, {}, 3]", options_.path,
           fmt::format("{}", fmt::join(frames_FHWC.sizes(), "x")),
           c10::toString(frames_FHWC.scalar_type()), options_.height, options_.width);
    }
    at::Tensor frames = frames_FHWC.contiguous();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] {
      return error_ || queued_bytes_ == 0 || queued_bytes_ + frames.numel() <= kQueueBytes;
    });
    if (error_) std::rethrow_exception(error_);
    queued_bytes_ += frames.numel();
    queue_.push_back(std::move(frames));
    lock.unlock();
    changed_.notify_all();
  }

  void finish() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
    if (error_) std::rethrow_exception(error_);
    if (num_frames_ == 0)
      fail(ErrorKind::Internal, "no frame was given to the writer of {}", options_.path);
    sink_->finish();
    if (verify_inside_ && !metadata_reads_back()) {
      needs_sidecar_ = true;
      notices_.push_back(
          fmt::format("{} does not keep the manifest whole; it stands beside it in {}",
                      options_.path, sidecar_path(paths_.front())));
    }
    if (needs_sidecar_) {
      write_sidecar(paths_.front(), options_.metadata_json, options_.force);
      if (sidecar_metadata(paths_.front()) != options_.metadata_json) {
        fail(ErrorKind::Io, "{} does not read back as it was written; is the disk failing?",
             sidecar_path(paths_.front()));
      }
      paths_.push_back(sidecar_path(paths_.front()));
    }
  }

  const std::vector<std::string>& paths() const { return paths_; }
  const std::vector<std::string>& notices() const { return notices_; }

 private:
  void add_sound(const VideoFormat& format, SinkOptions& sink) {
    if (!options_.sound_NC.defined()) return;
    if (!format.sound) {
      notices_.push_back(fmt::format("{}: .{} holds no sound; it is left out", options_.path,
                                     format.container->extension));
    } else if (!SoundEncoder::exists(*format.sound)) {
      notices_.push_back(fmt::format("{}: this FFmpeg cannot encode sound with {}; it is left out",
                                     options_.path, format.sound->encoder));
    } else {
      sink.sound_NC = options_.sound_NC.contiguous();
    }
  }

  void run() {
    try {
      for (;;) {
        at::Tensor frames;
        {
          std::unique_lock lock(mutex_);
          changed_.wait(lock, [&] { return abandoned_ || ended_ || !queue_.empty(); });
          if (abandoned_ || queue_.empty()) return;
          frames = std::move(queue_.front());
          queue_.pop_front();
        }
        const int64_t frame_bytes = options_.width * options_.height * 3;
        for (int64_t i = 0; i < frames.size(0); ++i) {
          if (num_frames_++ % keep_every_ == 0)
            sink_->write(frames.const_data_ptr<uint8_t>() + i * frame_bytes);
        }
        {
          const std::lock_guard lock(mutex_);
          queued_bytes_ -= frames.numel();
        }
        changed_.notify_all();
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      error_ = std::current_exception();
    }
    changed_.notify_all();
  }

  bool metadata_reads_back() const {
    MediaInput input(paths_.front());
    return embedded_metadata(input) == options_.metadata_json;
  }

  WriterOptions options_;
  std::unique_ptr<FrameSink> sink_;
  int64_t keep_every_ = 1;
  int64_t num_frames_ = 0;  // the thread's until it is joined
  bool needs_sidecar_ = false;
  bool verify_inside_ = false;
  std::vector<std::string> paths_;
  std::vector<std::string> notices_;

  std::thread thread_;
  std::mutex mutex_;  // guards the rest
  std::condition_variable changed_;
  std::deque<at::Tensor> queue_;
  int64_t queued_bytes_ = 0;  // with the chunk being encoded
  bool ended_ = false;
  bool abandoned_ = false;
  std::exception_ptr error_;
};

VideoWriter::VideoWriter(const WriterOptions& options) : impl_(std::make_unique<Impl>(options)) {}
VideoWriter::~VideoWriter() = default;
void VideoWriter::write(const at::Tensor& frames_FHWC) { impl_->write(frames_FHWC); }
void VideoWriter::finish() { impl_->finish(); }
std::vector<std::string> VideoWriter::paths() const { return impl_->paths(); }
std::vector<std::string> VideoWriter::notices() const { return impl_->notices(); }

}  // namespace sora
