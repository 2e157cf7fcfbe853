#include "cli/batch/read_jobs.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <ctime>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "cli/batch/plan.h"
#include "cli/stream_text.h"
#include "lib/core/error.h"
#include "lib/core/utf8.h"
#include "lib/jobs/stable_seed.h"

namespace sora::cli {
namespace {

namespace fs = std::filesystem;

std::string read_text(const RunBatch& batch) {
  if (is_stream(batch)) return read_stream(batch.file);
  std::error_code error;
  const fs::file_status status = fs::status(batch.file, error);
  if (!fs::exists(status) || fs::is_directory(status)) {
    fail(ErrorKind::NotFound,
         "the prompt file {} {}; options for all jobs follow the file: sora batch FILE --steps 20",
         batch.file, fs::is_directory(status) ? "is a folder" : "is not there");
  }
  std::ifstream file(batch.file, std::ios::binary);
  if (!file) fail(ErrorKind::Io, "the prompt file {} cannot be read", batch.file);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  return fmt::format("{:%Y-%m-%d}", fmt::localtime(now));
}

}  // namespace

std::string shown_file(const RunBatch& batch) { return is_stream(batch) ? "stdin" : batch.file; }

JobList read_jobs(const RunBatch& batch) {
  if (!is_valid_utf8(batch.file))
    fail(ErrorKind::Usage,
         "the prompt file {} is not UTF-8, and a batch's jobs are kept as text; give it another "
         "name",
         batch.file);
  if (batch.watch && is_stream(batch))
    fail(ErrorKind::Usage, "--watch needs a file that grows; {} is read to its end",
         batch.file == "-" ? "stdin" : batch.file);
  std::string text = read_text(batch);
  if (batch.watch)
    text.erase(text.rfind('\n') == std::string::npos
                   ? 0
                   : text.rfind('\n') + 1);  // the last line may still grow
  const std::string shown = shown_file(batch);
  PromptFormat format = prompt_format_of(batch.file, text);
  if (!batch.format.empty()) {
    const auto named = prompt_format_named(batch.format);
    if (!named)
      fail(ErrorKind::Usage, "--format {} is unknown; it is txt, jsonl, csv or yaml", batch.format);
    format = *named;
  }
  const fs::path base =
      is_stream(batch) ? fs::current_path() : fs::absolute(batch.file).parent_path();
  JobList list = jobs_of(parse_prompts(text, shown, format),
                         {shown, base, batch.defaults, batch.name_template, today()});
  list.text_digest = stable_name(text);
  if (batch.num_shards > 1) {
    std::vector<PlannedJob> share;
    for (size_t i = static_cast<size_t>(batch.shard); i < list.jobs.size();
         i += static_cast<size_t>(batch.num_shards))
      share.push_back(std::move(list.jobs[i]));
    list.jobs = std::move(share);
  }
  for (PlannedJob& planned : list.jobs) {
    planned.job.max_tries = batch.retries + 1;
    planned.job.force = batch.force;
  }
  return list;
}

}  // namespace sora::cli
