// Every terminal answers the request for device attributes (DA1, ECMA-48 and DEC STD 070), and
// answers in order: once that answer is here, none to the questions before it will come. Kitty's
// graphics protocol describes its query in the same way.
#include "cli/terminal/terminal_form.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <string>
#include <vector>

namespace sora::cli {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kPatience(300);
constexpr std::chrono::milliseconds kPatienceOverSsh(1500);
constexpr size_t kMaxAnswer = 4096;

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

// Numbers parted by semicolons.
std::vector<int> numbers(std::string_view list) {
  std::vector<int> values;
  for (size_t at = 0; at <= list.size();) {
    const size_t end = std::min(list.find(';', at), list.size());
    int value = 0;
    std::from_chars(list.data() + at, list.data() + end, value);
    values.push_back(value);
    at = end + 1;
  }
  return values;
}

// The parameters of the last control sequence "ESC [ <start> parameters <end>"; empty where there
// is none.
std::string_view parameters_of(std::string_view answer, std::string_view start, char end) {
  const size_t at = answer.rfind(start);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = answer.substr(at + start.size());
  const size_t stop = rest.find_first_not_of("0123456789;");
  return stop == std::string_view::npos || rest[stop] != end ? std::string_view()
                                                             : rest.substr(0, stop);
}

// Answers come unasked-for and unseen meanwhile.
class RawMode {
 public:
  explicit RawMode(int descriptor)
      : descriptor_(descriptor), is_set_(tcgetattr(descriptor, &before_) == 0) {
    if (!is_set_) return;
    termios raw = before_;
    raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
    raw.c_cc[VMIN] = 0;
    raw.c_cc[VTIME] = 0;
    is_set_ = tcsetattr(descriptor, TCSANOW, &raw) == 0;
  }
  ~RawMode() {
    if (is_set_) tcsetattr(descriptor_, TCSANOW, &before_);
  }
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;
  bool is_set() const { return is_set_; }

 private:
  int descriptor_;
  termios before_ = {};
  bool is_set_;
};

std::string answer_of(int descriptor) {
  char name[256];
  if (ttyname_r(descriptor, name, sizeof(name)) != 0) return "";
  const int terminal = open(name, O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0) return "";
  std::string answer;
  if (tcgetpgrp(terminal) == getpgrp()) {  // else asking would stop this process
    const RawMode raw(terminal);
    const std::string_view questions = terminal_questions();
    const bool is_asked = raw.is_set() && write(terminal, questions.data(), questions.size()) ==
                                              static_cast<ssize_t>(questions.size());
    const auto until =
        Clock::now() + (variable("SSH_CONNECTION").empty() ? kPatience : kPatienceOverSsh);
    while (is_asked && !is_complete_answer(answer) && answer.size() < kMaxAnswer) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now()).count();
      pollfd waiting = {terminal, POLLIN, 0};
      if (left <= 0 || poll(&waiting, 1, static_cast<int>(left)) <= 0) break;
      char block[256];
      const ssize_t got = read(terminal, block, sizeof(block));
      if (got <= 0) break;
      answer.append(block, static_cast<size_t>(got));
    }
  }
  close(terminal);
  return answer;
}

}  // namespace

std::string_view terminal_questions() {
  return "\x1b_Gi=31,s=1,v=1,a=q,t=d,f=24;AAAA\x1b\\"  // kitty: may this pixel be shown?
         "\x1b[16t"                                    // the size of a cell in pixels
         "\x1b[c";                                     // device attributes
}

bool is_complete_answer(std::string_view answer) {
  return !parameters_of(answer, "\x1b[?", 'c').empty();
}

TerminalForm understood(std::string_view answer, TerminalForm form) {
  if (answer.find("\x1b_Gi=31;OK") != std::string_view::npos) {
    form.form = PictureForm::Kitty;
  } else {
    const std::vector<int> attributes = numbers(parameters_of(answer, "\x1b[?", 'c'));
    if (std::find(attributes.begin(), attributes.end(), 4) != attributes.end())
      form.form = PictureForm::Sixel;
  }
  const std::vector<int> cell = numbers(parameters_of(answer, "\x1b[6;", 't'));
  if (cell.size() == 2 && cell[0] >= 4 && cell[1] >= 2 && cell[0] <= 200 && cell[1] <= 200) {
    form.cell_height = cell[0];
    form.cell_width = cell[1];
  }
  return form;
}

std::optional<TerminalForm> ask_terminal(int descriptor) {
  const std::string_view term = variable("TERM");
  if (isatty(descriptor) != 1 || term.empty() || term == "dumb") return std::nullopt;
  TerminalForm form;
  winsize window = {};
  if (ioctl(descriptor, TIOCGWINSZ, &window) == 0 && window.ws_col > 0 && window.ws_row > 0) {
    form.columns = window.ws_col;
    form.rows = window.ws_row;
    if (window.ws_xpixel >= 2 * window.ws_col && window.ws_ypixel >= 4 * window.ws_row) {
      form.cell_width = window.ws_xpixel / window.ws_col;
      form.cell_height = window.ws_ypixel / window.ws_row;
    }
  }
  if (!variable("NO_COLOR").empty()) {
    form.colours = TerminalColours::None;
    return form;
  }
  const std::string_view colours = variable("COLORTERM");
  const bool is_true =
      colours == "truecolor" || colours == "24bit" || term.find("direct") != std::string_view::npos;
  form.colours = is_true                                      ? TerminalColours::True
                 : term.find("256") != std::string_view::npos ? TerminalColours::Indexed256
                                                              : TerminalColours::Indexed16;
  if (term == "linux") return form;  // it would show the questions
  return understood(answer_of(descriptor), form);
}

}  // namespace sora::cli
