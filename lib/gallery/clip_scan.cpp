// A manifest of any version is shown: what is missing in it stays empty.
#include "lib/gallery/clip_scan.h"

#include <sys/stat.h>

#include <set>

#include "lib/core/ascii.h"
#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/core/utf8.h"
#include "lib/media/video_reader.h"
#include "lib/provenance/digest.h"
#include "lib/provenance/manifest.h"

namespace sora {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

const std::set<std::string>& clip_extensions() {
  static const std::set<std::string> extensions = {".mp4",  ".webm", ".mkv", ".mov", ".gif",
                                                   ".webp", ".apng", ".m4v", ".avi"};
  return extensions;
}

std::string readable(const std::string& text) {
  if (is_valid_utf8(text)) return text;
  std::string ascii;
  for (const char c : text)
    ascii += static_cast<unsigned char>(c) < 0x80 ? std::string(1, c) : "\uFFFD";
  return ascii;
}

std::string text_at(const json& object, const json::json_pointer& where) {
  const json* value = object.is_object() && object.contains(where) ? &object.at(where) : nullptr;
  if (value == nullptr || value->is_null()) return "";
  return value->is_string() ? value->get<std::string>() : value->dump();
}

void add_manifest(GalleryClip& clip, const json& manifest) {
  if (!is_manifest(manifest)) return;
  using pointer = json::json_pointer;
  clip.manifest = manifest;
  clip.prompt = text_at(manifest, pointer("/request/arguments/prompt"));
  clip.operation = text_at(manifest, pointer("/operation"));
  clip.model = text_at(manifest, pointer("/model/name"));
  clip.preset = text_at(manifest, pointer("/preset"));
  clip.seed = text_at(manifest, pointer("/seed"));
  const pointer sources("/sources");
  if (!manifest.contains(sources) || !manifest.at(sources).is_array()) return;
  for (const json& source : manifest.at(sources)) {
    const std::string sha256 = text_at(source, pointer("/sha256"));
    if (!sha256.empty()) clip.source_sha256.push_back(sha256);
  }
}

}  // namespace

std::vector<fs::path> find_clips(const std::vector<std::string>& folders) {
  std::set<fs::path> found;
  for (const std::string& folder : folders) {
    if (!fs::is_directory(folder))
      fail(ErrorKind::NotFound, "{} is no folder; name the folders that hold the clips", folder);
    const auto options = fs::directory_options::skip_permission_denied;
    for (auto entry = fs::recursive_directory_iterator(folder, options);
         entry != fs::recursive_directory_iterator(); ++entry) {
      const std::string name = entry->path().filename().string();
      std::error_code ignored;
      if (entry->is_directory(ignored)) {
        if (name.starts_with('.') || fs::exists(entry->path() / "clips.json", ignored))
          entry.disable_recursion_pending();
        continue;
      }
      const std::string extension = ascii_lower(entry->path().extension().string());
      if (name.starts_with('.') || !clip_extensions().count(extension) ||
          !entry->is_regular_file(ignored))
        continue;
      found.insert(fs::absolute(entry->path()).lexically_normal());
    }
  }
  return {found.begin(), found.end()};
}

GalleryClip read_clip_facts(const fs::path& path) {
  const FileInfo info = probe(path.string());
  GalleryClip clip;
  clip.sha256 = DigestCache().sha256(path);
  clip.id = clip.sha256.substr(0, kGalleryIdDigits);
  clip.path = readable(path.string());
  clip.name = readable(path.filename().string());
  clip.width = info.width;
  clip.height = info.height;
  clip.num_frames = info.num_frames;
  clip.fps = info.fps.value();
  clip.size_bytes = info.size_bytes;
  struct stat status = {};
  if (stat(path.c_str(), &status) == 0) clip.made = status.st_mtime;
  if (!info.metadata_json.empty())
    add_manifest(clip, parse_json(info.metadata_json, info.metadata_path));
  return clip;
}

}  // namespace sora
