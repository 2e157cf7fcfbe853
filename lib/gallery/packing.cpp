#include "lib/gallery/packing.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <map>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/core/utf8.h"
#include "lib/gallery/html.h"
#include "lib/gallery/share.h"
#include "lib/media/output_file.h"
#include "lib/provenance/digest.h"

namespace sora {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kMaxTextBytes = int64_t{4} << 20;
constexpr int64_t kMaxThumbnailBytes = int64_t{2} << 20;
constexpr int64_t kMaxPresetBytes = int64_t{64} << 10;
constexpr int64_t kMaxMediaBytes = int64_t{4} << 30;
constexpr size_t kMaxNameBytes = 120;
constexpr size_t kShaDigits = 64;
constexpr std::array kClipExtensions = {".mp4", ".webm", ".mkv", ".mov", ".gif", ".webp", ".apng"};
constexpr std::array kCardExtensions = {".png", ".jpg",  ".jpeg", ".webp", ".gif",
                                        ".mp4", ".webm", ".mkv",  ".mov"};

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

template <size_t n>
bool is_one_of(std::string_view extension, const std::array<const char*, n>& extensions) {
  return std::find(extensions.begin(), extensions.end(), extension) != extensions.end();
}

// "name.ext" of plain characters with one dot.
bool is_plain_file(std::string_view name, std::string_view& stem, std::string_view& extension) {
  const size_t dot = name.rfind('.');
  if (dot == std::string_view::npos || dot == 0 || name.size() > kMaxNameBytes) return false;
  stem = name.substr(0, dot);
  extension = name.substr(dot);
  return std::all_of(stem.begin(), stem.end(), is_plain);
}

std::string_view after(std::string_view text, std::string_view prefix) {
  return text.starts_with(prefix) ? text.substr(prefix.size()) : std::string_view();
}

}  // namespace

std::string_view to_string(ArchiveKind kind) {
  return kind == ArchiveKind::Clip ? "clip" : "presets";
}

bool is_preset_name(std::string_view name) {
  return !name.empty() && name.size() <= kMaxNameBytes && name[0] != '-' &&
         std::all_of(name.begin(), name.end(), is_plain);
}

bool is_clip_extension(std::string_view extension) { return is_one_of(extension, kClipExtensions); }

std::string safe_file_name(std::string_view name) {
  std::string safe;
  for (const char c : name) safe += is_plain(c) || c == '.' ? c : '_';
  while (!safe.empty() && (safe[0] == '.' || safe[0] == '-')) safe[0] = '_';
  if (safe.size() > kMaxNameBytes)
    safe = safe.substr(safe.size() - kMaxNameBytes);  // the extension stays
  while (!safe.empty() && (safe[0] == '.' || safe[0] == '-')) safe[0] = '_';
  return safe.empty() ? "_" : safe;
}

ArchivePlace place_in_archive(const std::string& archive, const std::string& name) {
  std::string_view stem, extension;
  if (name == kContentsName || name == kRecipeName) return {name, kMaxTextBytes};
  if (name.starts_with("clip.") && is_clip_extension(name.substr(4))) return {name, kMaxMediaBytes};
  if (const std::string_view file = after(name, "storyboard/");
      is_plain_file(file, stem, extension)) {
    if (file == "board.json") return {fs::path(kStoryboardFolder) / file, kMaxTextBytes};
    if (is_one_of(extension, kCardExtensions))
      return {fs::path(kStoryboardFolder) / file, kMaxMediaBytes};
  }
  if (const std::string_view file = after(name, "sources/"); is_plain_file(file, stem, extension)) {
    const bool is_digest = stem.size() == kShaDigits &&
                           stem.find_first_not_of("0123456789abcdef") == std::string_view::npos;
    if (is_digest && extension == ".webp")
      return {fs::path(kSourcesFolder) / file, kMaxThumbnailBytes};
  }
  if (const std::string_view file = after(name, "presets/"); is_plain_file(file, stem, extension)) {
    if (is_preset_name(stem) && extension == ".yaml")
      return {fs::path("presets") / file, kMaxPresetBytes};
  }
  fail(ErrorKind::Input, "{} holds '{}', which has no place in an archive of sora", archive,
       is_valid_utf8(name) ? visible_text(utf8_prefix(name, kMaxNameBytes))
                           : "a name that is no text");
}

void Packer::add(const std::string& name, std::string bytes) {
  entries_.push_back({name, std::move(bytes), {}});
}

void Packer::add_file(const std::string& name, const fs::path& path) {
  entries_.push_back({name, {}, path});
}

void Packer::write(const fs::path& output, const json& facts, bool force) const {
  OutputFile::check(output.string(), force);
  std::error_code ignored;
  for (const Entry& entry : entries_) {
    if (!entry.path.empty() && fs::equivalent(entry.path, output, ignored))
      fail(ErrorKind::Usage, "{} is to be packed itself; give the archive another name",
           output.string());
  }
  json files = json::array();
  for (const Entry& entry : entries_) {
    const bool is_file = !entry.path.empty();
    files.push_back(
        {{"name", entry.name},
         {"size", is_file ? static_cast<int64_t>(fs::file_size(entry.path))
                          : static_cast<int64_t>(entry.bytes.size())},
         {"sha256", is_file ? sha256_of_file(entry.path) : sha256_of_bytes(entry.bytes)}});
  }
  json contents = facts;
  contents["sora_archive"] = kArchiveSchema;
  contents["kind"] = to_string(kind_);
  contents["files"] = files;
  ArchiveWriter writer(output);
  writer.add(kContentsName, contents.dump(2) + "\n");
  for (const Entry& entry : entries_) {
    if (entry.path.empty()) {
      writer.add(entry.name, entry.bytes);
    } else {
      writer.add_file(entry.name, entry.path);
    }
  }
  writer.finish();
}

json unpack_checked(const fs::path& archive, const fs::path& folder, ArchiveKind kind) {
  const std::string name = archive.string();
  std::map<std::string, fs::path> found;
  unpack_archive(archive, folder, [&](const std::string& entry) {
    const ArchivePlace place = place_in_archive(name, entry);
    found[entry] = folder / place.file;
    return place;
  });
  if (!found.count(kContentsName))
    fail(ErrorKind::Input, "{} is no archive of sora: it has no {}", name, kContentsName);
  json contents;
  try {
    contents =
        parse_json(read_file(folder / kContentsName), fmt::format("{}: {}", name, kContentsName));
    if (contents.at("sora_archive") != kArchiveSchema) {
      fail(ErrorKind::Input,
           "{} is of another version of sora's archives; this program reads version {}", name,
           kArchiveSchema);
    }
    if (contents.at("kind") != to_string(kind)) {
      fail(ErrorKind::Input,
           "{} is no archive of a {}; sora {} import takes archives of presets, sora {} import "
           "those of clips",
           name, to_string(kind), "presets", "explore");
    }
    size_t num_listed = 0;
    for (const json& file : contents.at("files")) {
      const auto listed = file.at("name").get<std::string>();
      const auto entry = found.find(listed);
      if (entry == found.end() || listed == kContentsName) {
        fail(ErrorKind::Input, "{} lacks a file that its list names: '{}'", name,
             visible_text(utf8_prefix(listed, kMaxNameBytes)));
      }
      if (static_cast<int64_t>(fs::file_size(entry->second)) != file.at("size").get<int64_t>() ||
          sha256_of_file(entry->second) != file.at("sha256").get<std::string>()) {
        fail(ErrorKind::Input,
             "{}: {} is not the file that its list describes; the archive was changed or damaged",
             name, listed);
      }
      ++num_listed;
    }
    if (num_listed + 1 != found.size())
      fail(ErrorKind::Input, "{} holds files that its list does not name, or names one twice",
           name);
  } catch (const json::exception& error) {
    fail(ErrorKind::Input, "{}: {} is not what it should be ({})", name, kContentsName,
         visible_text(error.what()));
  }
  return contents;
}

}  // namespace sora
