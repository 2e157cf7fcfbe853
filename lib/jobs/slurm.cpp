// Arrays are looked for by name, because squeue fails for the number of a job that it has
// forgotten, and says nothing, which is the answer, for a name that it does not know.
#include "lib/jobs/slurm.h"

#include <fmt/format.h>

#include <charconv>
#include <string_view>

#include "lib/core/error.h"
#include "lib/jobs/command_output.h"

namespace sora {
namespace {

constexpr int kDefaultMaxArraySize = 1001;
// Sent this long before the time is up: longer than the patience of a worker that is asked to stop.
constexpr int kWarning_s = 60;

CommandOutput ask(const std::vector<std::string>& arguments) {
  const CommandOutput output = run_command(arguments);
  if (output.status != 0) {
    std::string message = output.err.substr(0, output.err.find('\n'));
    fail(ErrorKind::Io, "{} failed: {}", arguments.front(),
         message.empty() ? fmt::format("exit {}", output.status) : message);
  }
  return output;
}

std::string in_double_quotes(const std::string& text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + '"';
}

std::string in_single_quotes(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

// A line that sbatch reads out of the script.
std::string directive(std::string_view option, const std::string& value) {
  if (value.empty()) return "";
  return fmt::format("#SBATCH {}={}\n", option, in_double_quotes(value));
}

void check_line(const std::string& text) {
  if (text.find('\n') != std::string::npos)
    fail(ErrorKind::Usage, "'{}' has a line break, which no option of sbatch can have", text);
}

}  // namespace

std::string slurm_script(const SlurmArray& array) {
  const SlurmWishes& wishes = array.wishes;
  for (const std::string* text :
       {&wishes.partition, &wishes.account, &wishes.time_limit, &wishes.memory})
    check_line(*text);
  std::string logs;
  for (const char c : array.log_folder.string()) logs += c == '%' ? "%%" : std::string(1, c);
  check_line(logs);

  std::string script = "#!/bin/sh\n";
  script += directive("--job-name", array.name);
  script += fmt::format("#SBATCH --array=0-{}\n", array.num_tasks - 1);
  script += directive("--output", logs + "/%a.log");
  script += "#SBATCH --open-mode=append\n";
  script += fmt::format("#SBATCH --signal=B:TERM@{}\n", kWarning_s);
  script += directive("--partition", wishes.partition);
  script += directive("--account", wishes.account);
  script += directive("--time", wishes.time_limit);
  script += directive("--mem", wishes.memory);
  if (wishes.cpus > 0) script += fmt::format("#SBATCH --cpus-per-task={}\n", wishes.cpus);
  if (wishes.gpus > 0) script += fmt::format("#SBATCH --gres=gpu:{}\n", wishes.gpus);
  for (const std::string& option : wishes.extra) {
    check_line(option);
    if (option.empty() || option.front() != '-')
      fail(ErrorKind::Usage, "--sbatch {} is no option of sbatch; write --sbatch=--qos=low",
           option);
    script += "#SBATCH " + option + "\n";
  }
  script += "export OMP_NUM_THREADS=\"${OMP_NUM_THREADS:-${SLURM_CPUS_ON_NODE:-1}}\"\nexec";
  for (size_t i = 0; i < array.command.size(); ++i) {
    const bool is_suffix = i > 0 && i + 1 == array.command.size();
    script += is_suffix ? "\"$SLURM_ARRAY_TASK_ID\"" : " ";
    script += in_single_quotes(array.command[i]);
  }
  return script + "\n";
}

std::string submit_to_slurm(const std::filesystem::path& script) {
  std::string number = ask({"sbatch", "--parsable", script.string()}).out;
  return number.substr(0, number.find_first_of(";\n"));
}

bool is_in_slurm(const std::string& name) {
  return !ask({"squeue", "--noheader", "--format=%i", "--name=" + name}).out.empty();
}

void cancel_in_slurm(const std::string& name) { ask({"scancel", "--name=" + name}); }

int max_slurm_tasks() {
  constexpr std::string_view kName = "MaxArraySize";
  const std::string text = ask({"scontrol", "show", "config"}).out;
  const size_t found = text.find(kName);
  const size_t digits =
      found == std::string::npos ? found : text.find_first_of("0123456789", found);
  int size = kDefaultMaxArraySize;
  if (digits != std::string::npos)
    std::from_chars(text.data() + digits, text.data() + text.size(), size);
  return size > 0 ? size : kDefaultMaxArraySize;
}

}  // namespace sora
