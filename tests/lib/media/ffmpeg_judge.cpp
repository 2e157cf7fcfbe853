#include "tests/lib/media/ffmpeg_judge.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <stdexcept>

namespace sora::judge {

namespace fs = std::filesystem;

std::vector<std::string> TemporaryFolder::entries() const {
  std::vector<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(directory_.path())) {
    names.push_back(fs::relative(entry.path(), directory_.path()).string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string quoted(const std::string& word) {
  std::string result = "'";
  for (const char c : word) result += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return result + "'";
}

CommandResult run(const std::string& command) {
  CommandResult result;
  FILE* pipe = ::popen(command.c_str(), "r");
  if (!pipe) throw std::runtime_error("cannot run " + command);
  char buffer[65536];
  for (size_t count; (count = std::fread(buffer, 1, sizeof(buffer), pipe)) > 0;)
    result.output.append(buffer, count);
  const int status = ::pclose(pipe);
  result.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return result;
}

StreamFacts ffprobe(const std::string& path) {
  const CommandResult result =
      run("ffprobe -v error -of json -show_format -show_streams -count_frames " + quoted(path));
  const auto json = nlohmann::json::parse(result.output);
  const auto& stream = json.at("streams").at(0);
  StreamFacts facts;
  facts.codec = stream.value("codec_name", "");
  facts.pixel_format = stream.value("pix_fmt", "");
  facts.range = stream.value("color_range", "");
  facts.space = stream.value("color_space", "");
  facts.transfer = stream.value("color_transfer", "");
  facts.primaries = stream.value("color_primaries", "");
  facts.tag = stream.value("codec_tag_string", "");
  facts.width = stream.value("width", 0);
  facts.height = stream.value("height", 0);
  facts.fps = stream.value("avg_frame_rate", "");
  facts.frames = std::stoll(stream.value("nb_read_frames", "0"));
  facts.duration_s = std::stod(json.at("format").value("duration", "0"));
  return facts;
}

bool decodes_cleanly(const std::string& path) {
  const CommandResult result =
      run("ffmpeg -v warning -xerror -nostdin -i " + quoted(path) + " -f null - 2>&1");
  if (!result.output.empty()) std::fprintf(stderr, "%s\n", result.output.c_str());
  return result.status == 0 && result.output.empty();
}

at::Tensor decode(const std::string& path, const std::string& assumed_matrix) {
  const StreamFacts facts = ffprobe(path);
  const std::string input = assumed_matrix.empty()
                                ? ""
                                : fmt::format(":matrixin={}:rangein={}", assumed_matrix,
                                              facts.range == "pc" ? "pc" : "tv");
  const CommandResult result =
      run(fmt::format("ffmpeg -v error -nostdin -i {} -vf "
                      "zscale=filter=bicubic:matrix=gbr:range=full{},format=gbrp,format=rgb24 "
                      "-fps_mode passthrough -f rawvideo -",
                      quoted(path), input));
  const int64_t frame_bytes = int64_t{facts.width} * facts.height * 3;
  at::Tensor frames = at::empty(
      {int64_t(result.output.size()) / frame_bytes, facts.height, facts.width, 3}, at::kByte);
  std::memcpy(frames.data_ptr(), result.output.data(), static_cast<size_t>(frames.numel()));
  return frames;
}

at::Tensor test_clip(int64_t frames, int64_t height, int64_t width) {
  const at::Tensor t = at::arange(frames).view({frames, 1, 1});
  const at::Tensor y = at::arange(height).view({1, height, 1});
  const at::Tensor x = at::arange(width).view({1, 1, width});
  const at::Tensor red = (x * 255 / std::max<int64_t>(width - 1, 1) + 0 * y + 3 * t).remainder(256);
  const at::Tensor green = (y * 255 / std::max<int64_t>(height - 1, 1) + 0 * x + 0 * t);
  const at::Tensor square =
      ((x - (2 * t + 4).remainder(width)).abs() < 5).logical_and((y - height / 2).abs() < 5);
  const at::Tensor blue = at::where(square, 230, 40) + 0 * t;
  return at::stack({red, green, blue}, -1).to(at::kByte).contiguous();
}

at::Tensor color_bars(int64_t frames, int64_t height, int64_t width) {
  constexpr uint8_t kBars[8][3] = {{191, 191, 191}, {191, 191, 0}, {0, 191, 191}, {0, 191, 0},
                                   {191, 0, 191},   {191, 0, 0},   {0, 0, 191},   {0, 0, 0}};
  at::Tensor clip = at::empty({frames, height, width, 3}, at::kByte);
  uint8_t* pixel = clip.data_ptr<uint8_t>();
  for (int64_t f = 0; f < frames; ++f) {
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t x = 0; x < width; ++x, pixel += 3) {
        if (y < height / 2) {
          std::memcpy(pixel, kBars[x * 8 / width], 3);
        } else {
          std::memset(pixel, static_cast<int>(x * 255 / std::max<int64_t>(width - 1, 1)), 3);
        }
      }
    }
  }
  return clip;
}

std::string file_bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

int64_t max_difference(const at::Tensor& a, const at::Tensor& b) {
  if (!a.sizes().equals(b.sizes())) {
    ADD_FAILURE() << "sizes " << a.sizes() << " and " << b.sizes();
    return 255;
  }
  return a.numel() == 0 ? 0 : (a.to(at::kInt) - b.to(at::kInt)).abs().max().item<int64_t>();
}

void ffmpeg(const std::string& arguments) {
  const CommandResult result = run("ffmpeg -v error -nostdin -y " + arguments + " 2>&1");
  EXPECT_EQ(result.status, 0) << arguments << "\n" << result.output;
}

}  // namespace sora::judge
