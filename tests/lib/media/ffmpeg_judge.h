// The ffmpeg and ffprobe programs as the independent judge of files, and a folder that is gone
// after the test.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/core/rational.h"
#include "tests/scratch_directory.h"

namespace sora::judge {

class TemporaryFolder {
 public:
  std::string operator/(const std::string& name) const { return (directory_ / name).string(); }
  std::string path() const { return directory_.path().string(); }
  std::vector<std::string> entries() const;  // names of all files below, sorted

 private:
  ScratchDirectory directory_;
};

struct CommandResult {
  int status = -1;
  std::string output;  // stdout
};
CommandResult run(const std::string& command);  // stderr goes to stdout where the command says so
std::string quoted(const std::string& word);

struct StreamFacts {
  std::string codec, pixel_format, range, space, transfer, primaries, tag;
  int width = 0, height = 0;
  std::string fps;        // ffprobe's avg_frame_rate
  int64_t frames = 0;     // counted by decoding
  double duration_s = 0;  // of the container
};
StreamFacts ffprobe(const std::string& path);

// True when ffmpeg decodes the file to its end without one error or warning.
bool decodes_cleanly(const std::string& path);

// All frames as ffmpeg shows them, uint8 [F,H,W,3], converted by its zscale from the file's own
// tags, or from `assumed_matrix` ("709", "170m") where the file has none.
at::Tensor decode(const std::string& path, const std::string& assumed_matrix = "");

// Deterministic moving picture with flat parts, gradients and sharp edges.
at::Tensor test_clip(int64_t frames, int64_t height, int64_t width);
// 75 % colour bars over a grey ramp, the same in every frame; bars are at least `width / 8` wide.
at::Tensor color_bars(int64_t frames, int64_t height, int64_t width);

std::string file_bytes(const std::string& path);

// Of two clips or pictures of the same shape; 255 with a failure where the shapes differ.
int64_t max_difference(const at::Tensor& a, const at::Tensor& b);

// Runs the ffmpeg program; fails the test where that fails.
void ffmpeg(const std::string& arguments);

}  // namespace sora::judge
