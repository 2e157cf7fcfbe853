// Sizes by name are Sora's own (854x480 for 480p landscape); what a model cannot draw is resampled
// later.
#include "lib/pipelines/request.h"

#include <charconv>
#include <cmath>

#include "lib/core/error.h"
#include "lib/core/scheduler_names.h"

namespace sora {
namespace {

struct NamedSize {
  std::string_view resolution;
  std::string_view aspect;
  Size size;
};

constexpr NamedSize kNamedSizes[] = {
    {"480p", "16:9", {854, 480}},    {"480p", "1:1", {480, 480}},
    {"480p", "9:16", {480, 854}},    {"720p", "16:9", {1280, 720}},
    {"720p", "1:1", {720, 720}},     {"720p", "9:16", {720, 1280}},
    {"1080p", "16:9", {1920, 1080}}, {"1080p", "1:1", {1080, 1080}},
    {"1080p", "9:16", {1080, 1920}},
};

struct NamedWatermark {
  std::string_view name;
  Watermark mark;
};

constexpr NamedWatermark kWatermarks[] = {{"none", Watermark::None},
                                          {"visible", Watermark::Visible},
                                          {"invisible", Watermark::Invisible},
                                          {"both", Watermark::Both}};

bool parse_side(std::string_view text, int64_t& side) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), side);
  return error == std::errc() && end == text.data() + text.size();
}

void check_video(const VideoSpec& video) {
  if (video.size && (video.resolution || video.aspect)) {
    fail(ErrorKind::Usage, "--size says the size already; leave out --resolution and --aspect");
  }
  if (video.size) {
    for (const int64_t side : {video.size->width, video.size->height}) {
      if (side < kMinSide || side > kMaxSide) {
        fail(ErrorKind::Usage, "the size {} has a side of {}; sides go from {} to {} pixels",
             to_string(*video.size), side, kMinSide, kMaxSide);
      }
    }
  }
  if (video.resolution || video.aspect) {
    size_for(video.resolution.value_or("480p"), video.aspect.value_or("16:9"));
  }
  if (video.duration_s && video.num_frames) {
    fail(ErrorKind::Usage, "--frames and --duration both say how long; give one of them");
  }
  if (video.duration_s && !(*video.duration_s > 0 && *video.duration_s <= kMaxDuration_s)) {
    fail(ErrorKind::Usage, "a duration of {} s cannot be made; it goes up to {} s",
         *video.duration_s, kMaxDuration_s);
  }
  if (video.num_frames && (*video.num_frames < 1 || *video.num_frames > kMaxFrames)) {
    fail(ErrorKind::Usage, "{} frames cannot be made; the number goes from 1 to {}",
         *video.num_frames, kMaxFrames);
  }
  if (video.fps && !(video.fps->value() >= 1 && video.fps->value() <= 120)) {
    fail(ErrorKind::Usage, "{} frames a second cannot be made; the rate goes from 1 to 120",
         to_string(*video.fps));
  }
}

void check_scale(std::string_view option, const std::optional<double>& value, double min,
                 double max) {
  if (value && !(*value >= min && *value <= max)) {
    fail(ErrorKind::Usage, "{} {} is out of range; it goes from {} to {}", option, *value, min,
         max);
  }
}

void check_sampling(const Sampling& sampling) {
  if (sampling.steps && (*sampling.steps < 1 || *sampling.steps > kMaxSteps)) {
    fail(ErrorKind::Usage, "--steps {} is out of range; it goes from 1 to {}", *sampling.steps,
         kMaxSteps);
  }
  check_scale("--guidance", sampling.guidance_scale, 0, 100);
  check_scale("--guidance-2", sampling.guidance_scale_2, 0, 100);
  check_scale("--cache", sampling.cache_threshold, 0, 1);
  if (const auto& interval = sampling.guidance_interval;
      interval && !(interval->low >= 0 && interval->low <= interval->high && interval->high <= 1)) {
    fail(ErrorKind::Usage,
         "--guidance-interval {} is out of range; noise levels go from 0 to 1, the lower one first",
         to_string(*interval));
  }
  check_scale("--shift", sampling.shift, 0.01, 100);
  if (sampling.scheduler) check_scheduler_name(*sampling.scheduler);
  if (sampling.negative_prompt) check_text("negative prompt", *sampling.negative_prompt);
}

// What only the plain denoise loop does.
void check_edit(const RemixRequest& remix, const Sampling& sampling) {
  if (remix.method == "sdedit") return;
  const bool has_interval =
      sampling.guidance_interval && !(*sampling.guidance_interval == GuidanceInterval{});
  if (!has_interval && sampling.cache_threshold.value_or(0) == 0) return;
  fail(ErrorKind::Usage, "--method {} takes every step with all of its guidance; leave out {}",
       remix.method, has_interval ? "--guidance-interval" : "--cache");
}

}  // namespace

Size parse_size(std::string_view text) {
  const size_t cross = text.find_first_of("xX");
  Size size;
  if (cross == std::string_view::npos || !parse_side(text.substr(0, cross), size.width) ||
      !parse_side(text.substr(cross + 1), size.height)) {
    fail(ErrorKind::Usage, "'{}' is not a size; write width and height in pixels, such as 832x480",
         text);
  }
  return size;
}

std::string to_string(const Size& size) { return fmt::format("{}x{}", size.width, size.height); }

GuidanceInterval parse_guidance_interval(std::string_view text) {
  const auto number = [](std::string_view part, double& value) {
    const auto [end, code] = std::from_chars(part.data(), part.data() + part.size(), value);
    return code == std::errc() && end == part.data() + part.size();
  };
  const size_t colon = text.find(':');
  GuidanceInterval interval;
  if (colon == std::string_view::npos || !number(text.substr(0, colon), interval.low) ||
      !number(text.substr(colon + 1), interval.high)) {
    fail(ErrorKind::Usage,
         "'{}' is not an interval of noise levels; write the lower and the higher one, such as "
         "0.2:0.9",
         text);
  }
  return interval;
}

std::string to_string(const GuidanceInterval& interval) {
  return fmt::format("{}:{}", interval.low, interval.high);
}

Size size_for(std::string_view resolution, std::string_view aspect) {
  for (const NamedSize& row : kNamedSizes) {
    if (row.resolution == resolution && row.aspect == aspect) return row.size;
  }
  fail(ErrorKind::Usage,
       "there is no size {} {}; resolutions are 480p, 720p and 1080p, aspects 16:9, 1:1 and 9:16",
       resolution, aspect);
}

Watermark parse_watermark(std::string_view text) {
  for (const NamedWatermark& row : kWatermarks) {
    if (row.name == text) return row.mark;
  }
  fail(ErrorKind::Usage, "there is no watermark '{}'; choose none, visible, invisible or both",
       text);
}

std::string_view to_string(Watermark watermark) {
  for (const NamedWatermark& row : kWatermarks) {
    if (row.mark == watermark) return row.name;
  }
  return "";
}

int64_t parse_bytes(std::string_view text) {
  double number = 0;
  const auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  std::string_view unit =
      text.substr(code == std::errc() ? static_cast<size_t>(end - text.data()) : text.size());
  if (unit.ends_with('B') || unit.ends_with('b')) unit.remove_suffix(1);
  if (unit.ends_with('i')) unit.remove_suffix(1);
  const size_t power =
      unit.empty() ? 0 : std::string_view("KMGT").find(static_cast<char>(unit[0] & ~0x20)) + 1;
  const bool valid = code == std::errc() && unit.size() <= 1 && power <= 4 && number > 0 &&
                     number < 1e6 * (unit.empty() ? 1e12 : 1);
  if (!valid || (!unit.empty() && power == 0)) {
    fail(ErrorKind::Usage, "'{}' is no amount of bytes; write 8G or 500M", text);
  }
  return static_cast<int64_t>(number * std::pow(1024.0, static_cast<double>(power)));
}

std::string_view operation_name(const Operation& operation) {
  return std::visit([](const auto& chosen) { return std::decay_t<decltype(chosen)>::kName; },
                    operation);
}

void check(const Request& request) {
  check_video(request.video);
  check_sampling(request.sampling);
  if (request.runtime.threads < 0 || request.runtime.threads > 1024) {
    fail(ErrorKind::Usage,
         "--threads {} is out of range; it goes from 1 to 1024, or 0 for one a core",
         request.runtime.threads);
  }
  std::visit([](const auto& chosen) { check(chosen); }, request.operation);
  if (const auto* remix = std::get_if<RemixRequest>(&request.operation))
    check_edit(*remix, request.sampling);
}

}  // namespace sora
