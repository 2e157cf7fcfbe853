// Frames are never held as a whole: they are decoded again each time they are needed.
#include "lib/pipelines/source.h"

#include <ATen/ATen.h>
#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "lib/core/error.h"

namespace sora {
namespace {

constexpr int64_t kChunk = 8;

void write_all(int fd, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t written = write(fd, data, size);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0)
      fail(ErrorKind::Io, "what comes through a pipe cannot be kept in the temporary folder: {}",
           std::strerror(errno));
    data += written;
    size -= static_cast<size_t>(written);
  }
}

ReadOptions options_from(const SourceView& view, int64_t first) {
  ReadOptions options;
  options.fps = view.fps;
  options.start_s = static_cast<double>(first) / view.fps.value();
  return options;
}

}  // namespace

Source::Source(const std::string& name) : name_(name), path_(name) {
  if (name == "-") {
    spool(STDIN_FILENO);
  } else if (is_stream(name)) {
    spool_pipe();
  } else if (first_file(name) != name) {
    fail(ErrorKind::Usage,
         "{}: numbered pictures are not read as a clip; make one of them first: ffmpeg -framerate "
         "16 -i {} clip.mkv",
         name, name);
  }
  info_ = under_name(path_, name_, [&] { return probe(path_); });
  if (info_.duration_s > kMaxDuration_s + 1) {
    fail(ErrorKind::Input,
         "{} lasts {:.0f} s; clips up to {:.0f} s are taken, cut the part you want out of it with "
         "ffmpeg -ss -t",
         name_, info_.duration_s, kMaxDuration_s);
  }
}

bool Source::is_stream(const std::string& name) {
  std::error_code none;
  return name == "-" || std::filesystem::is_fifo(name, none);
}

Source::~Source() {
  if (fd_ >= 0) close(fd_);
}

void Source::spool_pipe() {
  const int pipe = open(name_.c_str(), O_RDONLY | O_CLOEXEC);
  if (pipe < 0) fail(ErrorKind::Io, "{} cannot be opened: {}", name_, std::strerror(errno));
  try {
    spool(pipe);
  } catch (...) {
    close(pipe);
    throw;
  }
  close(pipe);
}

void Source::spool(int stream) {
  std::error_code error;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(error);
  if (error) fail(ErrorKind::Io, "there is no temporary folder: {}; set TMPDIR", error.message());
  fd_ = open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd_ < 0)
    fail(ErrorKind::Io, "no temporary file can be made for {}: {}", name_, std::strerror(errno));
  std::array<char, 1 << 16> buffer;
  while (true) {
    const ssize_t got = ::read(stream, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(ErrorKind::Io, "{} cannot be read: {}", name_, std::strerror(errno));
    if (got == 0) break;
    write_all(fd_, buffer.data(), static_cast<size_t>(got));
  }
  path_ = "/proc/self/fd/" + std::to_string(fd_);
}

std::string Source::prompt() const {
  const nlohmann::json manifest =
      nlohmann::json::parse(info_.metadata_json, nullptr, /*allow_exceptions=*/false);
  for (const char* place : {"/text", "/request/arguments/prompt"}) {
    const nlohmann::json::json_pointer where(place);
    if (manifest.is_object() && manifest.contains(where) && manifest.at(where).is_string())
      return manifest.at(where).get<std::string>();
  }
  return "";
}

int64_t Source::count_frames(Rational fps, std::string_view tool) const {
  ReadOptions options;
  options.fps = fps;
  const int64_t count = under_name(path_, name_, [&] {
    VideoReader reader(path_, options);
    int64_t frames = 0;
    for (int64_t got = 1; got > 0 && frames <= kMaxFrames; frames += got)
      got = reader.read(kChunk).size(0);
    return frames;
  });
  if (count > kMaxFrames) {
    fail(ErrorKind::Input,
         "{} has more than {} frames at {} a second; cut the part you want out of it, or lower "
         "--fps",
         name_, kMaxFrames, to_string(fps));
  }
  if (count < 2) {
    const std::string at_rate =
        fps == info_.fps ? "" : fmt::format(" at {} a second", to_string(fps));
    fail(ErrorKind::Input,
         "{} has one frame{}, which shows no motion to {}; begin from a picture with sora generate "
         "--image",
         name_, at_rate, tool);
  }
  return count;
}

SourceFrames::SourceFrames(const Source& source, const SourceView& view, int64_t first)
    : path_(source.path()),
      name_(source.name()),
      reader_(
          under_name(path_, name_, [&] { return VideoReader(path_, options_from(view, first)); })),
      resizer_(reader_.width(), reader_.height(), view.size.width, view.size.height, view.fit) {}

at::Tensor SourceFrames::read(int64_t count) {
  std::vector<at::Tensor> parts;
  for (int64_t left = count; left > 0;) {
    at::Tensor frames_FHWC =
        under_name(path_, name_, [&] { return reader_.read(std::min(left, kChunk)); });
    if (frames_FHWC.size(0) == 0) {
      if (!last_.defined())
        fail(ErrorKind::Input, "{} is shorter than it was when it was first read", name_);
      frames_FHWC = last_.repeat({left, 1, 1, 1});
    } else {
      frames_FHWC = resizer_(frames_FHWC.contiguous());
    }
    last_ = frames_FHWC.slice(0, frames_FHWC.size(0) - 1);
    left -= frames_FHWC.size(0);
    parts.push_back(frames_FHWC);
  }
  return parts.size() == 1 ? parts[0] : at::cat(parts);
}

Fit parse_fit(const std::string& name) {
  if (name == "pad") return Fit::Pad;
  if (name == "stretch") return Fit::Stretch;
  return Fit::Crop;
}

}  // namespace sora
