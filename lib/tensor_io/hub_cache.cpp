#include "lib/tensor_io/hub_cache.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "lib/core/error.h"
#include "lib/core/json_file.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxRefBytes = 256;

bool is_name_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

// The hub's own rule for organisations and models.
bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= 96 &&
         std::all_of(text.begin(), text.end(), is_name_character) && text.front() != '.' &&
         text.front() != '-' && text.back() != '.' && text.back() != '-' &&
         text.find("--") == std::string_view::npos && text.find("..") == std::string_view::npos;
}

// A revision becomes a path below refs or snapshots, so nothing in it may lead out of them.
bool is_revision(std::string_view text) {
  const auto allowed = [](char c) { return is_name_character(c) || c == '/' || c == '+'; };
  return !text.empty() && text.size() <= 200 && std::all_of(text.begin(), text.end(), allowed) &&
         text.front() != '/' && text.front() != '.' && text.find("..") == std::string_view::npos;
}

bool is_commit(std::string_view text) {
  const auto is_hex = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
  return text.size() == 40 && std::all_of(text.begin(), text.end(), is_hex);
}

std::optional<fs::path> environment_path(const char* variable) {
  const char* value = std::getenv(variable);
  if (!value || !*value) return std::nullopt;
  const std::string_view text = value;
  const char* home = std::getenv("HOME");
  if (text.starts_with("~/") && home) return fs::path(home) / text.substr(2);
  return fs::path(text);
}

std::string trimmed(std::string text) {
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r' || text.back() == ' '))
    text.pop_back();
  return text;
}

std::vector<std::string> revisions(const fs::path& refs) {
  std::vector<std::string> found;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(refs, error)) {
    if (entry.is_regular_file(error))
      found.push_back(entry.path().lexically_relative(refs).string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

}  // namespace

std::optional<HubName> parse_hub_name(std::string_view text) {
  HubName name;
  if (const size_t at = text.find('@'); at != std::string_view::npos) {
    name.revision = text.substr(at + 1);
    text = text.substr(0, at);
    if (!is_revision(name.revision)) return std::nullopt;
  }
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  if (!is_name(text.substr(0, slash)) || !is_name(text.substr(slash + 1))) return std::nullopt;
  name.repository = text;
  return name;
}

std::optional<HubFileName> parse_hub_file_name(std::string_view text) {
  const size_t slash = text.find('/', text.find('/') + 1);
  if (slash == std::string_view::npos || slash + 1 == text.size()) return std::nullopt;
  const auto repository = parse_hub_name(text.substr(0, slash));
  if (!repository) return std::nullopt;
  return HubFileName{*repository, std::string(text.substr(slash + 1))};
}

fs::path hub_cache_directory() {
  if (const auto cache = environment_path("HF_HUB_CACHE")) return *cache;
  if (const auto home = environment_path("HF_HOME")) return *home / "hub";
  if (const auto cache = environment_path("XDG_CACHE_HOME")) return *cache / "huggingface" / "hub";
  if (const auto home = environment_path("HOME")) return *home / ".cache" / "huggingface" / "hub";
  return ".cache/huggingface/hub";
}

fs::path find_in_hub_cache(const HubName& name, const fs::path& cache) {
  std::string folder = "models--" + name.repository;
  folder.replace(folder.find('/'), 1, "--");
  const fs::path model = cache / folder;
  if (!fs::is_directory(model)) {
    fail(ErrorKind::NotFound,
         "{}: is not in the Hugging Face cache {}; load it with `sora models pull {}`",
         name.repository, cache.string(), name.repository);
  }

  std::string commit = name.revision;
  if (const fs::path ref = model / "refs" / name.revision; fs::is_regular_file(ref)) {
    commit = trimmed(read_file(ref, kMaxRefBytes));
    if (!is_commit(commit))
      fail(ErrorKind::Input, "{}: does not hold a commit of 40 digits", ref.string());
  }
  const fs::path snapshot = model / "snapshots" / commit;
  if (is_commit(commit) && fs::is_directory(snapshot)) return snapshot;
  fail(ErrorKind::NotFound,
       "{}@{}: this revision is not in the Hugging Face cache (there: {}); load it with `sora "
       "models "
       "pull {}@{}`",
       name.repository, name.revision, fmt::join(revisions(model / "refs"), ", "), name.repository,
       name.revision);
}

}  // namespace sora
