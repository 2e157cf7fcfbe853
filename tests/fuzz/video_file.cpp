// Video files of any kind: what the reader accepts gives frames of the size that it claims, and the
// sound read beside them is in bounds. The file lies in memory and is opened by its descriptor's
// name, as stdin's spool is.
#include <ATen/ATen.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>

#include "lib/media/sound.h"
#include "lib/media/video_reader.h"
#include "tests/fuzz/fuzz_target.h"

namespace {

class MemoryFile {
 public:
  explicit MemoryFile(std::string_view bytes) : fd_(memfd_create("fuzzed", MFD_CLOEXEC)) {
    if (fd_ < 0 || write(fd_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
      __builtin_trap();
  }
  ~MemoryFile() { close(fd_); }
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

 private:
  int fd_;
};

void read_all(std::string_view bytes) {
  const MemoryFile file(bytes);
  const sora::FileInfo info = sora::probe(file.path());
  // Small limits, so that a file which claims hours or acres is refused and not waited for.
  sora::ReadOptions limits;
  limits.max_frames = 64;
  limits.max_pixels = 256 * 256;
  sora::VideoReader reader(file.path(), limits);
  if (reader.width() < 1 || reader.height() < 1 || !(reader.fps().value() > 0)) __builtin_trap();
  int64_t count = 0;
  for (at::Tensor frames = reader.read(16); frames.size(0) > 0; frames = reader.read(16)) {
    if (frames.size(1) != reader.height() || frames.size(2) != reader.width() ||
        frames.size(3) != 3)
      __builtin_trap();
    count += frames.size(0);
  }
  if (count > 64) __builtin_trap();
  if (info.num_audio_streams > 0) {
    const at::Tensor samples_NC = sora::read_sound(file.path(), 0.05, 4800, 2);
    if (!(samples_NC.abs().max().item<float>() <= 1)) __builtin_trap();
  }
}

}  // namespace

SORA_FUZZ_TARGET(video_file) {
  try {
    read_all(bytes);
  } catch (const sora::Error& error) {
    // A header may claim tables that libav refuses to hold.
    if (error.kind() != sora::ErrorKind::Memory) throw;
  }
}
