// The operations' own options, one struct each. All of them have a prompt (empty: the source's own,
// where there is one) and a number of variations. Paths named "source" are videos of any kind, "-"
// is stdin.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/export.h"

namespace sora {

inline constexpr int kMaxVariations = 100;

// Seconds of a timeline that begins at 0; half open.
struct TimeRange {
  double start_s = 0;
  double stop_s = 0;
  bool operator==(const TimeRange&) const = default;
};

// "1.5-4"; throws Error(Usage), also for a range that holds nothing.
SORA_EXPORT TimeRange parse_time_range(std::string_view text);
SORA_EXPORT std::string to_string(const TimeRange& range);
// "3", "3s", "2.5s", "500ms"; throws Error(Usage).
SORA_EXPORT double parse_seconds(std::string_view text);

// A value that changes over a clip: points (share of the length, value), straight lines between
// them, constant outside.
struct Curve {
  // Positions rise strictly, all numbers lie in [0, 1].
  std::vector<std::pair<double, double>> points;
  double operator()(double position) const;  // of a curve with at least one point
  bool operator==(const Curve&) const = default;
};

// "0:0,0.5:1,1:0"; throws Error(Usage) naming the point that is wrong.
SORA_EXPORT Curve parse_curve(std::string_view text);
SORA_EXPORT std::string to_string(const Curve& curve);

struct GenerateRequest {
  static constexpr std::string_view kName = "generate";
  std::string prompt;
  std::string image;       // path of the first frame; empty: none
  std::string last_image;  // path of the last frame; empty: none
  int variations = 1;      // 1 to kMaxVariations, here and below; their seeds follow each other
  bool loop = false;       // the end runs into the beginning
  // Path of a file of cards, storyboard.h; its texts stand instead of the prompt.
  std::string storyboard;
  std::string preset;                   // name of a style, presets.h; said with every text
  std::vector<std::string> references;  // paths of pictures of what the clip shows
  std::string control;  // path of a video that says where things are: depth, pose, lines
  std::optional<double> control_scale;  // weight of references, control and known frames; empty: 1
};

// Past either end of a clip.
struct ExtendRequest {
  static constexpr std::string_view kName = "extend";
  std::string prompt;
  int variations = 1;
  std::string fit = "crop";  // fit_names()
  std::string source;
  double by_s = 0;        // over 0
  bool backward = false;  // before the beginning instead of after the end
};

// Kept ranges of a clip, placed along a new timeline whose gaps and ends are drawn.
struct RecutRequest {
  static constexpr std::string_view kName = "recut";
  std::string prompt;
  int variations = 1;
  std::string fit = "crop";
  std::string source;
  std::vector<TimeRange> keep;  // either these ...
  std::vector<double> at_s;     // ... with the time each begins at; empty: where it was
  std::vector<TimeRange> drop;  // ... or what is drawn anew
  // Empty: up to the end of the last kept range, or of the source with `drop`.
  std::optional<double> duration_s;
};

// A bridge from a clip's end back to its beginning.
struct LoopRequest {
  static constexpr std::string_view kName = "loop";
  std::string prompt;
  int variations = 1;
  std::string fit = "crop";
  std::string source;
  std::optional<double> from_s;  // the section that is looped
  std::optional<double> to_s;
  std::string length = "short";  // short | normal | long: a bridge of 2, 4, 6 s
};

// A clip drawn again from a noised form of itself.
struct RemixRequest {
  static constexpr std::string_view kName = "remix";
  std::string prompt;
  int variations = 1;
  std::string fit = "crop";
  std::string source;
  std::string source_prompt;  // what the source shows, for flowedit and flowalign; empty: its own
  std::string strength = "mild";  // subtle | mild | strong | a number of 0 to 1: see strength_sigma
  std::string method = "sdedit";  // sdedit | flowedit | flowalign
  std::string preset;             // as in GenerateRequest
};

// The noise level, in [0, 1], down to which the source is followed. Throws Error(Usage).
SORA_EXPORT double strength_sigma(std::string_view strength);

// Two clips in one.
struct BlendRequest {
  static constexpr std::string_view kName = "blend";
  std::string prompt;
  int variations = 1;
  std::string fit = "crop";
  std::string source;  // the first
  std::string second;
  std::string mode = "transition";  // transition | mix | sample
  Curve curve;                      // influence of the second; no points: the mode's own
  std::string strength = "mild";    // of mix and sample: as in remix
  std::optional<double> duration_s;
};

// These throw Error(Usage) for what no model could do.
SORA_EXPORT void check(const GenerateRequest& request);
SORA_EXPORT void check(const ExtendRequest& request);
SORA_EXPORT void check(const RecutRequest& request);
SORA_EXPORT void check(const LoopRequest& request);
SORA_EXPORT void check(const RemixRequest& request);
SORA_EXPORT void check(const BlendRequest& request);

// The name says what the text is: "prompt". Throws Error(Usage) for one too long or not UTF-8.
SORA_EXPORT void check_text(std::string_view name, const std::string& text);

}  // namespace sora
