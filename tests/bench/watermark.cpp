// Marks and reads clips for scripts/bench/watermark, in one process: starting the program takes
// longer than its work here. Takes a command a line from stdin, words parted by tabs, and answers
// each with a JSON object.
//
//   mark IN OUT ID      marks a video, into a lossless one: {"psnr", "least_psnr", "ms", "frames"},
//   ms of processor time read IN             {"id" or null, "log2_chance", "ms"} windows COUNT SIDE
//   FRAMES QUICK IN...
//                       reads windows of unmarked videos, wherever chance cuts them: {"windows",
//                       "marked", "ms"}; QUICK 1: at plain scales alone
#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <ctime>
#include <iostream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>
#include <string>
#include <vector>

#include "lib/media/video_reader.h"
#include "lib/media/video_writer.h"
#include "lib/provenance/watermark.h"
#include "tests/lib/media/read_clip.h"

namespace sora {
namespace {

using nlohmann::json;
using Words = std::vector<std::string>;

class Stopwatch {
 public:
  double ms() const { return 1e3 * static_cast<double>(std::clock() - start_) / CLOCKS_PER_SEC; }

 private:
  std::clock_t start_ = std::clock();
};

constexpr int64_t kFramesAtATime = 8;  // are about what a decoder hands on

double psnr_of(double mean_square) { return 10 * std::log10(255.0 * 255.0 / mean_square); }

json mark(const Words& words) {
  const Clip clip = read_clip(words.at(1));
  const std::string& id = words.at(3);
  uint64_t payload = 0;
  std::from_chars(id.data(), id.data() + id.size(), payload, 16);
  WatermarkEmbedder embed(payload);
  std::vector<at::Tensor> parts;
  double ms = 0;
  for (const at::Tensor& frames : clip.frames_FHWC.split(kFramesAtATime)) {
    const Stopwatch watch;
    const at::Tensor part = embed(frames);
    ms += watch.ms();
    parts.push_back(part.clone());  // as in a run, where the writer gives the memory back
  }
  const at::Tensor marked = at::cat(parts);
  const at::Tensor squares_F =
      (marked.to(at::kFloat) - clip.frames_FHWC.to(at::kFloat)).square().flatten(1).mean(1);
  VideoWriter writer({.path = words.at(2),
                      .codec = "ffv1",
                      .width = clip.width(),
                      .height = clip.height(),
                      .fps = clip.fps,
                      .force = true});
  writer.write(marked);
  writer.finish();
  return {{"psnr", psnr_of(squares_F.mean().item<double>())},
          {"least_psnr", psnr_of(squares_F.max().item<double>())},
          {"ms", ms},
          {"frames", clip.num_frames()}};
}

json read(const Words& words) {
  const Stopwatch watch;
  const auto reading = read_watermark(words.at(1));
  json answer = {{"id", nullptr}, {"ms", watch.ms()}};
  if (reading) {
    answer["id"] = watermark_id(reading->payload);
    answer["log2_chance"] = reading->log2_chance;
  }
  return answer;
}

json windows(const Words& words) {
  const int count = std::stoi(words.at(1));
  const int64_t side = std::stoll(words.at(2)), num_frames = std::stoll(words.at(3));
  const bool is_quick = words.at(4) == "1";
  const Words files(words.begin() + 5, words.end());
  std::mt19937_64 random(1);
  const auto up_to = [&](int64_t most) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(most + 1));
  };
  const Stopwatch watch;
  int looked_at = 0, marked = 0;
  for (size_t f = 0; f < files.size(); ++f) {
    const at::Tensor frames = read_clip(files[f]).frames_FHWC;
    const int until = static_cast<int>(count * (f + 1) / files.size());
    for (; looked_at < until; ++looked_at) {
      const int64_t height = std::min(side, frames.size(1)), width = std::min(side, frames.size(2));
      const int64_t length = std::min(num_frames, frames.size(0));
      WatermarkDetector detector;
      detector.add(frames.narrow(0, up_to(frames.size(0) - length), length)
                       .narrow(1, up_to(frames.size(1) - height), height)
                       .narrow(2, up_to(frames.size(2) - width), width));
      marked += (is_quick ? detector.read_at_plain_scales() : detector.read()).has_value();
    }
  }
  return {{"windows", looked_at}, {"marked", marked}, {"ms", watch.ms()}};
}

json answer(const Words& words) {
  const std::string& command = words.at(0);
  if (command == "mark") return mark(words);
  if (command == "read") return read(words);
  if (command == "windows") return windows(words);
  return {{"error", "unknown command " + command}};
}

}  // namespace
}  // namespace sora

int main() {
  at::set_num_threads(1);
  for (std::string line; std::getline(std::cin, line);) {
    sora::Words words;
    std::istringstream stream(line);
    for (std::string word; std::getline(stream, word, '\t');) words.push_back(word);
    if (words.empty()) continue;
    try {
      std::cout << sora::answer(words).dump() << std::endl;
    } catch (const std::exception& error) {
      std::cout << nlohmann::json{{"error", error.what()}}.dump() << std::endl;
    }
  }
}
