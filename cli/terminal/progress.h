// Shows where the work is, on stderr: a bar with the time left on a terminal, plain lines
// elsewhere, JSON lines on request.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "cli/command.h"
#include "cli/terminal/picture_area.h"
#include "lib/core/observer.h"

namespace sora::cli {

// How progress is to be shown here; never Auto.
ProgressStyle progress_style(const Display& display);

class ProgressDisplay : public Observer {
 public:
  explicit ProgressDisplay(const Display& display);
  ~ProgressDisplay() override;

  void begin(Phase phase, int64_t total_steps) override;
  void advance(Phase phase, int64_t steps_done) override;
  void notice(std::string_view sentence) override;
  bool stop_requested() const override;

  // Pictures stand above the bar from now on.
  bool has_bar() const { return style_ == ProgressStyle::Bar; }
  void begin_pictures(const TerminalForm& form) { pictures_.emplace(stderr, form); }
  void show_picture(const TerminalDrawing& drawing);

  void clear();  // takes bar and picture off the terminal before something else is printed

 private:
  using Clock = std::chrono::steady_clock;
  void show(Phase phase, bool force);
  void clear_bar();
  void show_bar(Phase phase, double share, double elapsed_s);
  void show_line(Phase phase, double share, double elapsed_s);

  ProgressStyle style_;
  Phase phase_ = Phase::Load;
  int64_t total_ = 0;
  int64_t done_ = 0;
  Clock::time_point phase_start_;
  Clock::time_point last_shown_;
  bool bar_on_screen_ = false;
  std::optional<PictureArea> pictures_;
};

}  // namespace sora::cli
