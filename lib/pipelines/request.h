// What a user asks for, free of torch and FFmpeg: every operation's options, and their JSON form
// (request_json.cpp), which is what a manifest carries and a recipe repeats. An empty optional
// means "what the model is best at".
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lib/core/model_files.h"
#include "lib/core/rational.h"
#include "lib/export.h"
#include "lib/pipelines/request_operations.h"

namespace sora {

// Pixels.
struct Size {
  int64_t width = 0;
  int64_t height = 0;
  bool operator==(const Size&) const = default;
};

SORA_EXPORT Size parse_size(std::string_view text);  // "832x480"; throws Error(Usage)
SORA_EXPORT std::string to_string(const Size& size);

// "480p" | "720p" | "1080p" with "16:9" | "1:1" | "9:16": 854x480, 480x480, 480x854, 1280x720, ...
// Throws Error(Usage).
SORA_EXPORT Size size_for(std::string_view resolution, std::string_view aspect);

// Limits of what is accepted of any model; inside them a request is made, if need be by resampling.
inline constexpr int64_t kMinSide = 16;
inline constexpr int64_t kMaxSide = 4096;
inline constexpr double kMaxDuration_s = 60.0;
inline constexpr int64_t kMaxFrames = 3600;
inline constexpr int kMaxSteps = 1000;

// The output's timeline and canvas. A size excludes resolution and aspect, a duration a number of
// frames.
struct VideoSpec {
  std::optional<Size> size;               // sides of kMinSide to kMaxSide
  std::optional<std::string> resolution;  // with aspect: size_for()
  std::optional<std::string> aspect;
  std::optional<double> duration_s;   // over 0, up to kMaxDuration_s
  std::optional<int64_t> num_frames;  // 1 to kMaxFrames
  std::optional<Rational> fps;        // 1 to 120 frames a second
  bool native = false;  // make the model's own canvas of the size asked, whatever it was trained on
};

// Noise levels, low to high, between which guidance works (arXiv 2404.07724).
struct GuidanceInterval {
  double low = 0, high = 1;
  bool operator==(const GuidanceInterval&) const = default;
};

SORA_EXPORT GuidanceInterval
parse_guidance_interval(std::string_view text);  // "0.2:0.9"; throws Error(Usage)
SORA_EXPORT std::string to_string(const GuidanceInterval& interval);

// How the denoise loop runs.
struct Sampling {
  std::optional<int> steps;                // 1 to kMaxSteps
  std::optional<double> guidance_scale;    // 0 to 100; up to 1: no unconditional pass
  std::optional<double> guidance_scale_2;  // of the low-noise expert, where a model has two
  std::optional<GuidanceInterval> guidance_interval;
  // 0 to 1: a step is reused while the estimated changes of its velocity add up to less; 0: never
  // (lib/pipelines/step_cache.h).
  std::optional<double> cache_threshold;
  std::optional<std::string> negative_prompt;
  std::optional<std::string> scheduler;  // scheduler_names()
  std::optional<double> shift;           // of the noise levels, 0.01 to 100
  std::optional<uint64_t> seed;
};

struct Runtime {
  std::string model = "nano";
  ModelFiles files;
  std::string dtype = "auto";      // auto | f32 | bf16 | int8
  std::string attention = "auto";  // auto | torch | sora | int8
  std::string device = "auto";     // auto | cpu | cuda
  // Of a GPU: the transformer's passes are recorded and replayed; the same clip.
  bool cuda_graph = false;
  int threads = 0;                      // 1 to 1024; 0: one for each core
  std::optional<int64_t> memory_bytes;  // at most; empty: what the machine has
  // Of a recipe: the weights' when its clip was made, so that others are told of, and the preset
  // whose text is in its prompt; empty: no recipe.
  std::string known_fingerprint, known_preset;
  std::optional<bool> known_tiled;  // likewise: whether its frames went through the VAE in tiles
};

// Marks in the pictures themselves: one that is seen, one that only a detector finds
// (lib/provenance/watermark.h).
enum class Watermark { None, Visible, Invisible, Both };

SORA_EXPORT Watermark
parse_watermark(std::string_view text);  // "none", "visible", ...; throws Error(Usage)
SORA_EXPORT std::string_view to_string(Watermark watermark);
inline bool has_visible(Watermark mark) {
  return mark == Watermark::Visible || mark == Watermark::Both;
}
inline bool has_invisible(Watermark mark) {
  return mark == Watermark::Invisible || mark == Watermark::Both;
}

struct OutputSpec {
  std::string path;   // empty: named after the prompt, in the current folder; "-": y4m to stdout
  std::string codec;  // empty: the container's default
  std::optional<int> quality;
  bool force = false;
  std::string latents_path;  // also write the final normalised latents here, as safetensors
  Watermark watermark = Watermark::None;
  bool sign = false;                 // with a C2PA manifest
  std::string identity = "default";  // that signs
};

// One row an operation; the structs are in request_operations.h.
using Operation = std::variant<GenerateRequest, ExtendRequest, RecutRequest, LoopRequest,
                               RemixRequest, BlendRequest>;

struct Request {
  Operation operation;
  VideoSpec video;
  Sampling sampling;
  Runtime runtime;
  OutputSpec output;
};

SORA_EXPORT int64_t
parse_bytes(std::string_view text);  // "8G", "500M", "1073741824"; throws Error(Usage)

SORA_EXPORT std::string_view operation_name(const Operation& operation);

// Throws Error(Usage) in one sentence about the first thing that no model could do: contradicting
// sizes, zero frames, negative guidance, a prompt that is not UTF-8, ...
SORA_EXPORT void check(const Request& request);

// The part of a request that decides the frames, without output paths and threads; from_json throws
// Error(Usage) on unknown keys, wrong types and values check() refuses.
SORA_EXPORT nlohmann::json to_json(const Request& request);
SORA_EXPORT Request request_from_json(const nlohmann::json& json);

}  // namespace sora
