// The time left is the phase's own pace; it is shown only once a first step is done.
#include "cli/terminal/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "cli/signals.h"
#include "cli/terminal/progress_text.h"
#include "cli/terminal/terminal.h"
#include "lib/core/json_file.h"

namespace sora::cli {
namespace {

constexpr double kBarInterval_s = 0.1;
constexpr double kLineInterval_s = 5.0;

double seconds_between(std::chrono::steady_clock::time_point from,
                       std::chrono::steady_clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

ProgressStyle progress_style(const Display& display) {
  if (display.quiet) return ProgressStyle::None;
  if (display.progress != ProgressStyle::Auto) return display.progress;
  return stderr_is_animated() ? ProgressStyle::Bar : ProgressStyle::Plain;
}

ProgressDisplay::ProgressDisplay(const Display& display) : style_(progress_style(display)) {}

ProgressDisplay::~ProgressDisplay() { clear(); }

void ProgressDisplay::begin(Phase phase, int64_t total_steps) {
  phase_ = phase;
  total_ = total_steps;
  done_ = 0;
  phase_start_ = Clock::now();
  show(phase, true);
}

void ProgressDisplay::advance(Phase phase, int64_t steps_done) {
  if (phase != phase_) return;
  done_ = steps_done;
  show(phase, done_ == total_);
}

void ProgressDisplay::notice(std::string_view sentence) {
  if (style_ == ProgressStyle::None) return;
  clear();
  if (style_ == ProgressStyle::Json) {
    tell("{}\n", to_text({{"notice", std::string(sentence)}}));
  } else {
    tell("note: {}\n", printable(sentence));
  }
}

bool ProgressDisplay::stop_requested() const { return stop_signalled(); }

void ProgressDisplay::show_picture(const TerminalDrawing& drawing) {
  if (!pictures_) return;
  clear_bar();
  pictures_->show(drawing);
  show(phase_, true);
}

void ProgressDisplay::clear() {
  clear_bar();
  if (pictures_) pictures_->erase();
}

void ProgressDisplay::clear_bar() {
  if (!bar_on_screen_) return;
  tell("\r\x1b[K");
  std::fflush(stderr);
  bar_on_screen_ = false;
}

void ProgressDisplay::show(Phase phase, bool force) {
  if (style_ == ProgressStyle::None) return;
  const Clock::time_point now = Clock::now();
  const double interval = style_ == ProgressStyle::Bar ? kBarInterval_s : kLineInterval_s;
  if (!force && seconds_between(last_shown_, now) < interval) return;
  last_shown_ = now;
  const double share = total_ > 0 ? static_cast<double>(done_) / static_cast<double>(total_) : 0.0;
  const double elapsed_s = seconds_between(phase_start_, now);
  if (style_ == ProgressStyle::Bar) {
    show_bar(phase, share, elapsed_s);
  } else {
    show_line(phase, share, elapsed_s);
  }
}

void ProgressDisplay::show_bar(Phase phase, double share, double elapsed_s) {
  const std::string left = share > 0 ? clock_text(elapsed_s / share - elapsed_s) + " left" : "";
  tell("\r\x1b[K{:<8} {} {:>4.0f}% {}", to_string(phase), bar_text(share), share * 100, left);
  std::fflush(stderr);
  bar_on_screen_ = true;
}

void ProgressDisplay::show_line(Phase phase, double share, double elapsed_s) {
  if (style_ == ProgressStyle::Json) {
    nlohmann::json line = {
        {"phase", to_string(phase)}, {"done", done_}, {"total", total_}, {"elapsed_s", elapsed_s}};
    if (share > 0) line["left_s"] = elapsed_s / share - elapsed_s;
    tell("{}\n", to_text(line));
    return;
  }
  if (done_ == 0) return;
  tell("{} {}/{} in {}{}\n", to_string(phase), done_, total_, clock_text(elapsed_s),
       share < 1 ? ", " + clock_text(elapsed_s / share - elapsed_s) + " left" : "");
}

}  // namespace sora::cli
