// Strengths by name are noise levels, so that a name means the same on every model and schedule.
#include "lib/pipelines/request_operations.h"

#include <array>
#include <charconv>
#include <cmath>

#include "lib/core/error.h"
#include "lib/core/utf8.h"
#include "lib/text/prompt_limit.h"

namespace sora {
namespace {

constexpr size_t kMaxCurvePoints = 1000;
constexpr size_t kMaxRanges = 100;
constexpr size_t kMaxReferences = 16;

struct NamedStrength {
  std::string_view name;
  double sigma;
};

// The levels at which Wan's own schedule, shift 5, has 38, 53 and 79 % of its steps to go.
constexpr NamedStrength kStrengths[] = {{"subtle", 0.75}, {"mild", 0.85}, {"strong", 0.95}};

// The whole of `text` as a finite number.
bool parse_number(std::string_view text, double& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && std::isfinite(value);
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

void check_one_of(std::string_view option, std::string_view value,
                  std::initializer_list<std::string_view> names) {
  std::string known;
  for (const std::string_view name : names) {
    if (name == value) return;
    known += (known.empty() ? "" : ", ") + std::string(name);
  }
  fail(ErrorKind::Usage, "{} '{}' is none of {}", option, value, known);
}

void check_variations(int variations) {
  if (variations < 1 || variations > kMaxVariations) {
    fail(ErrorKind::Usage, "--variations {} is out of range; it goes from 1 to {}", variations,
         kMaxVariations);
  }
}

// What all tools with a source share.
template <typename Tool>
void check_tool(const Tool& request) {
  check_text("prompt", request.prompt);
  check_variations(request.variations);
  check_one_of("--fit", request.fit, {"crop", "pad", "stretch"});
  if (request.source.empty()) {
    fail(ErrorKind::Usage, "{} needs a video; write sora {} clip.mp4", Tool::kName, Tool::kName);
  }
}

// "3", "2.5s" or "250ms"; false for anything else.
bool read_seconds(std::string_view text, double& seconds) {
  double factor = 1;
  if (text.ends_with("ms")) {
    factor = 1e-3;
    text.remove_suffix(2);
  } else if (text.ends_with("s")) {
    text.remove_suffix(1);
  }
  if (!parse_number(text, seconds)) return false;
  seconds *= factor;
  return true;
}

void check_seconds(std::string_view option, double value) {
  if (!(value >= 0 && std::isfinite(value)))
    fail(ErrorKind::Usage, "{} is {} s; times begin at 0", option, value);
}

}  // namespace

void check_text(std::string_view name, const std::string& text) {
  if (text.size() > kMaxPromptBytes) {
    fail(ErrorKind::Usage, "the {} is {} bytes long; at most {} are taken", name, text.size(),
         kMaxPromptBytes);
  }
  if (!is_valid_utf8(text))
    fail(ErrorKind::Usage, "the {} is not UTF-8 text; save or type it as UTF-8", name);
}

TimeRange parse_time_range(std::string_view text) {
  const size_t dash = text.find('-', 1);
  TimeRange range;
  if (dash == std::string_view::npos ||
      !read_seconds(trimmed(text.substr(0, dash)), range.start_s) ||
      !read_seconds(trimmed(text.substr(dash + 1)), range.stop_s)) {
    fail(ErrorKind::Usage, "'{}' is not a range; write its ends in seconds, such as 1.5-4", text);
  }
  if (range.start_s < 0 || !(range.start_s < range.stop_s)) {
    fail(ErrorKind::Usage, "the range {} holds nothing; write the earlier time first", text);
  }
  return range;
}

std::string to_string(const TimeRange& range) {
  // Never with an exponent, whose sign would be the range's own.
  const auto written = [](double seconds) {
    std::array<char, 400> digits;
    const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), seconds,
                                            std::chars_format::fixed);
    return std::string(digits.data(), end);
  };
  return written(range.start_s) + "-" + written(range.stop_s);
}

double parse_seconds(std::string_view text) {
  double seconds = 0;
  if (!read_seconds(text, seconds) || seconds < 0) {
    fail(ErrorKind::Usage, "'{}' is not a length of time; write seconds, such as 3 or 2.5s", text);
  }
  return seconds;
}

double Curve::operator()(double position) const {
  if (position <= points.front().first) return points.front().second;
  for (size_t i = 1; i < points.size(); ++i) {
    const auto& [x0, y0] = points[i - 1];
    const auto& [x1, y1] = points[i];
    if (position <= x1)
      return std::lerp(y0, y1,
                       (position - x0) / (x1 - x0));  // never past its ends, however it rounds
  }
  return points.back().second;
}

Curve parse_curve(std::string_view text) {
  Curve curve;
  size_t from = 0;
  while (from <= text.size()) {
    const size_t end = std::min(text.find_first_of(",\n", from), text.size());
    const std::string_view point = trimmed(text.substr(from, end - from));
    from = end + 1;
    if (point.empty() && from > text.size() && !curve.points.empty())
      break;  // a file's last line end
    const size_t colon = point.find(':');
    std::pair<double, double> values;
    if (colon == std::string_view::npos ||
        !parse_number(trimmed(point.substr(0, colon)), values.first) ||
        !parse_number(trimmed(point.substr(colon + 1)), values.second)) {
      fail(ErrorKind::Usage,
           "'{}' is no point of a curve; write position:influence, such as 0:0,0.5:1,1:0", point);
    }
    if (!(values.first >= 0 && values.first <= 1 && values.second >= 0 && values.second <= 1)) {
      fail(ErrorKind::Usage,
           "the curve's point {} lies outside 0 to 1; positions are shares of the length", point);
    }
    if (!curve.points.empty() && !(values.first > curve.points.back().first)) {
      fail(ErrorKind::Usage,
           "the curve's point {} does not come after {}; write them in order of time", point,
           curve.points.back().first);
    }
    if (curve.points.size() == kMaxCurvePoints)
      fail(ErrorKind::Usage, "a curve has at most {} points", kMaxCurvePoints);
    curve.points.push_back(values);
  }
  return curve;
}

std::string to_string(const Curve& curve) {
  std::string text;
  for (const auto& [position, value] : curve.points) {
    text += fmt::format("{}{}:{}", text.empty() ? "" : ",", position, value);
  }
  return text;
}

double strength_sigma(std::string_view strength) {
  for (const NamedStrength& row : kStrengths) {
    if (row.name == strength) return row.sigma;
  }
  double value = 0;
  if (!parse_number(strength, value) || !(value >= 0 && value <= 1)) {
    fail(ErrorKind::Usage,
         "--strength '{}' is none of subtle, mild, strong or a number from 0 to 1", strength);
  }
  return value;
}

void check(const GenerateRequest& request) {
  check_text("prompt", request.prompt);
  check_variations(request.variations);
  if (!request.last_image.empty() && request.image.empty()) {
    fail(ErrorKind::Usage, "--last-image needs --image as well, for the frame to begin from");
  }
  if (!request.storyboard.empty() && (request.loop || !request.image.empty())) {
    fail(ErrorKind::Usage, "--storyboard says what is shown when; leave out {}",
         request.loop ? "--loop" : "--image and --last-image");
  }
  if (request.loop && !(request.references.empty() && request.control.empty())) {
    fail(ErrorKind::Usage, "--loop draws a circle of frames alone; leave out {}",
         request.references.empty() ? "--control" : "--reference");
  }
  if (request.references.size() > kMaxReferences) {
    fail(ErrorKind::Usage, "{} reference pictures are too many; at most {} are taken",
         request.references.size(), kMaxReferences);
  }
  if (!request.storyboard.empty() && !request.control.empty()) {
    fail(ErrorKind::Usage, "--storyboard says what is shown when; leave out --control");
  }
  if (request.control_scale && !(*request.control_scale >= 0 && *request.control_scale <= 10)) {
    fail(ErrorKind::Usage, "--control-scale {} is out of range; it goes from 0 to 10",
         *request.control_scale);
  }
  if (request.loop && !request.image.empty()) {
    fail(ErrorKind::Usage,
         "--loop draws a circle without a first frame; leave out --image, or loop the finished "
         "clip with sora loop");
  }
}

void check(const ExtendRequest& request) {
  check_tool(request);
  if (!(request.by_s > 0 && std::isfinite(request.by_s))) {
    fail(ErrorKind::Usage, "extend needs --by, the seconds to add, such as --by 3s");
  }
}

void check(const RecutRequest& request) {
  check_tool(request);
  if (request.keep.empty() == request.drop.empty()) {
    fail(ErrorKind::Usage,
         "recut needs either --keep, such as --keep 0-1.5, or --drop, such as --drop 1.5-2.5");
  }
  if (request.keep.size() > kMaxRanges || request.drop.size() > kMaxRanges) {
    fail(ErrorKind::Usage, "recut takes at most {} ranges", kMaxRanges);
  }
  if (!request.at_s.empty() && request.at_s.size() != request.keep.size()) {
    fail(ErrorKind::Usage,
         "there are {} --keep and {} --at; give one --at for each --keep, or none",
         request.keep.size(), request.at_s.size());
  }
  for (const double at : request.at_s) check_seconds("--at", at);
  if (request.duration_s && !(*request.duration_s > 0)) {
    fail(ErrorKind::Usage, "a duration of {} s cannot be made", *request.duration_s);
  }
}

void check(const LoopRequest& request) {
  check_tool(request);
  check_one_of("--length", request.length, {"short", "normal", "long"});
  if (request.from_s) check_seconds("--from", *request.from_s);
  if (request.to_s) check_seconds("--to", *request.to_s);
  if (request.to_s && !(request.from_s.value_or(0) < *request.to_s)) {
    fail(ErrorKind::Usage, "the section from {} s to {} s holds nothing",
         request.from_s.value_or(0), *request.to_s);
  }
}

void check(const RemixRequest& request) {
  check_tool(request);
  check_text("source prompt", request.source_prompt);
  if (request.prompt.empty() && request.preset.empty()) {
    fail(ErrorKind::Usage,
         "remix needs a prompt; write sora remix clip.mp4 \"a blue ball on the snow\"");
  }
  check_one_of("--method", request.method, {"sdedit", "flowedit", "flowalign"});
  if (request.method == "sdedit" && !request.source_prompt.empty()) {
    fail(
        ErrorKind::Usage,
        "--source-prompt is for --method flowedit and flowalign; sdedit looks at the source alone");
  }
  strength_sigma(request.strength);
}

void check(const BlendRequest& request) {
  check_tool(request);
  if (request.second.empty())
    fail(ErrorKind::Usage, "blend needs two videos; write sora blend a.mp4 b.mp4");
  if (request.source == "-" && request.second == "-") {
    fail(ErrorKind::Usage, "only one of the two videos can come from stdin");
  }
  check_one_of("--mode", request.mode, {"transition", "mix", "sample"});
  strength_sigma(request.strength);
  if (request.mode == "sample" && !request.curve.points.empty()) {
    fail(ErrorKind::Usage,
         "--curve is for --mode transition and mix; a sample takes one look for all of the clip");
  }
  if (request.mode == "transition" && request.strength != BlendRequest{}.strength) {
    fail(ErrorKind::Usage,
         "--strength is for --mode mix and sample; a transition draws its bridge anew");
  }
  if (request.duration_s && !(*request.duration_s > 0)) {
    fail(ErrorKind::Usage, "a duration of {} s cannot be made", *request.duration_s);
  }
}

}  // namespace sora
