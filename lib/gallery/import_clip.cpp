// Everything is unpacked and looked at in a hidden folder of the library, which then becomes the
// clip's own by one renaming.
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <set>

#include "lib/core/error.h"
#include "lib/core/file_lock.h"
#include "lib/core/json_file.h"
#include "lib/gallery/gallery_id.h"
#include "lib/gallery/html.h"
#include "lib/gallery/install_presets.h"
#include "lib/gallery/packing.h"
#include "lib/gallery/share.h"
#include "lib/media/video_reader.h"
#include "lib/pipelines/storyboard.h"
#include "lib/provenance/digest.h"
#include "lib/provenance/manifest.h"
#include "lib/tensor_io/atomic_file.h"

namespace sora {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kClipsFolder = "clips";
constexpr const char* kPresetsFolder = "presets";

// A hidden folder of the library, removed with what is left in it.
class Staging {
 public:
  explicit Staging(const fs::path& library) {
    std::error_code error;
    fs::create_directories(library / kClipsFolder, error);
    std::string name = (library / kClipsFolder / ".import-XXXXXX").string();
    if (error || mkdtemp(name.data()) == nullptr)
      fail(ErrorKind::Io, "nothing can be written into {}", library.string());
    path_ = name;
  }
  ~Staging() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

void check_library(const fs::path& library) {
  std::error_code error;
  if (!fs::exists(library, error) || fs::is_empty(library, error)) return;
  if (!fs::is_directory(library / kClipsFolder, error)) {
    fail(ErrorKind::Usage,
         "{} is no library of imported clips; give an empty or new folder, or leave it out for {}",
         library.string(), local_library().string());
  }
}

void check_decodes(const fs::path& path) {
  VideoReader reader(path.string());
  if (reader.read(1).size(0) == 0)
    fail(ErrorKind::Input, "{} holds no frame", path.filename().string());
}

fs::path clip_in(const fs::path& folder, const std::string& archive) {
  fs::path clip;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().stem() != "clip") continue;
    if (!clip.empty()) fail(ErrorKind::Input, "{} holds two clips", archive);
    clip = entry.path();
  }
  if (clip.empty()) fail(ErrorKind::Input, "{} holds no clip", archive);
  return clip;
}

// The clip carries the manifest that the archive shows beside it.
Manifest check_recipe(const fs::path& clip, const std::string& archive) {
  const json recipe = parse_json(read_file(clip.parent_path() / kRecipeName),
                                 fmt::format("{}: {}", archive, kRecipeName));
  const Manifest manifest = manifest_from_json(recipe, fmt::format("{}: {}", archive, kRecipeName));
  FileInfo info = probe(clip.string());
  if (info.metadata_json.empty()) {  // its container keeps none: from now on beside it
    const std::string text = recipe.dump() + "\n";
    AtomicFile side(clip.string() + ".json");
    side.write(text.data(), text.size());
    side.commit();
    info = probe(clip.string());
  }
  if (info.metadata_json.empty() || parse_json(info.metadata_json, archive) != recipe) {
    fail(ErrorKind::Input, "{}: the clip carries another manifest than the recipe beside it",
         archive);
  }
  // An mp4 with odd sides is stored with its last column or row twice.
  const auto is_stored = [](int64_t side, int64_t wanted) {
    return side == wanted || side == wanted + wanted % 2;
  };
  if (!is_stored(info.width, manifest.video.width) ||
      !is_stored(info.height, manifest.video.height)) {
    fail(ErrorKind::Input, "{}: the clip is {}x{}, its manifest says {}x{}", archive, info.width,
         info.height, manifest.video.width, manifest.video.height);
  }
  request_from_json(manifest.request);
  return manifest;
}

void check_storyboard(const fs::path& folder, const std::string& archive) {
  if (!fs::exists(folder)) return;
  std::set<fs::path> named = {folder / "board.json"};
  if (!fs::exists(folder / "board.json"))
    fail(ErrorKind::Input, "{} holds files of a storyboard, but no storyboard", archive);
  for (const Card& card : read_storyboard((folder / "board.json").string()).cards) {
    for (const std::string& path : {card.image, card.video}) {
      if (path.empty()) continue;
      if (fs::path(path).parent_path() != folder || !fs::exists(path)) {
        fail(ErrorKind::Input,
             "{}: a card of the storyboard shows a file that is not in the archive", archive);
      }
      check_decodes(path);
      named.insert(path);
    }
  }
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (!named.count(entry.path())) {
      fail(ErrorKind::Input, "{}: no card of the storyboard shows {}", archive,
           entry.path().filename().string());
    }
  }
}

void check_thumbnails(const fs::path& folder, const Manifest& manifest,
                      const std::string& archive) {
  if (!fs::exists(folder)) return;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const std::string sha256 = entry.path().stem().string();
    if (std::none_of(manifest.sources.begin(), manifest.sources.end(),
                     [&](const ManifestSource& source) { return source.sha256 == sha256; })) {
      fail(ErrorKind::Input, "{}: the clip has no source {}", archive, sha256);
    }
    check_decodes(entry.path());
  }
}

// The facts of the list, so that what it says is not taken for more than it is.
std::string file_name_from(const json& contents, const fs::path& clip, const std::string& archive) {
  const json name = contents.value("name", json());
  if (!name.is_string() || safe_file_name(name.get<std::string>()) != name.get<std::string>() ||
      fs::path(name.get<std::string>()).extension() != clip.extension()) {
    fail(ErrorKind::Input, "{}: {} gives the clip no proper name", archive, kContentsName);
  }
  return name.get<std::string>();
}

// Words of a message about a file of the staging folder are about the archive.
std::string told_of(const std::string& archive, const fs::path& staging, std::string message) {
  const std::string inside = staging.string() + "/";
  bool is_told = message.find(archive) != std::string::npos;
  for (size_t at = message.find(inside); at != std::string::npos; at = message.find(inside)) {
    message.replace(at, inside.size(), is_told ? "" : archive + ": ");
    is_told = true;
  }
  return visible_text(message);
}

// Unpacks the archive, checks all of it, and leaves in the folder what the library keeps: the clip
// under its own name and its presets. The clip's ID.
std::string unpack_clip(const std::string& archive, const fs::path& folder) {
  const json contents = unpack_checked(archive, folder, ArchiveKind::Clip);
  const fs::path clip = clip_in(folder, archive);
  const Manifest manifest = check_recipe(clip, archive);
  check_decodes(clip);
  check_storyboard(folder / kStoryboardFolder, archive);
  check_thumbnails(folder / kSourcesFolder, manifest, archive);
  check_presets(folder / kPresetsFolder);
  const std::string name = file_name_from(contents, clip, archive);
  const std::string id = sha256_of_file(clip).substr(0, kGalleryIdDigits);
  if (contents.value("id", json()) != id)
    fail(ErrorKind::Input, "{}: the clip is not the one that its ID says", archive);

  fs::remove(folder / kContentsName);
  fs::remove(folder / kRecipeName);
  if (name != clip.filename()) {
    fs::rename(clip, folder / name);
    const fs::path side = clip.string() + ".json";
    if (fs::exists(side)) fs::rename(side, folder / (name + ".json"));
  }
  fs::permissions(folder, fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec |
                              fs::perms::others_read | fs::perms::others_exec);
  return id;
}

void remove_new_library(const fs::path& library, const fs::path& staging) {
  std::error_code ignored;
  fs::remove_all(staging, ignored);
  fs::remove(library / kClipsFolder, ignored);  // only if empty
  fs::remove(library, ignored);
}

struct Placed {
  std::string id;
  bool is_new;
  std::vector<std::string> presets;  // that were installed
};

Placed place_clip(const std::string& archive, const fs::path& library, const PresetFolders& presets,
                  Observer& observer) {
  const bool is_new_library = !fs::exists(library);
  const Staging staging(library);
  Placed placed;
  try {
    placed.id = unpack_clip(archive, staging.path());
  } catch (const Error& error) {
    if (is_new_library) remove_new_library(library, staging.path());
    const bool is_of_the_archive = error.kind() == ErrorKind::Input ||
                                   error.kind() == ErrorKind::Usage ||
                                   error.kind() == ErrorKind::NotFound;
    throw Error(is_of_the_archive ? ErrorKind::Input : error.kind(),
                told_of(archive, staging.path(), error.what()));
  }
  FileLock lock(library);
  lock.lock(observer);
  const fs::path home = library / kClipsFolder / placed.id;
  placed.is_new = !fs::exists(home);
  if (placed.is_new) fs::rename(staging.path(), home);
  const fs::path with_presets = (placed.is_new ? home : staging.path()) / kPresetsFolder;
  placed.presets = install_presets(with_presets, presets, false, observer);
  fs::remove_all(with_presets);
  if (!fs::exists(library / "clips.json")) write_index(library, {});
  return placed;
}

}  // namespace

json import_clip(const ImportClip& task, const PresetFolders& presets, Observer& observer) {
  const fs::path library = task.library.empty() ? local_library() : fs::path(task.library);
  if (library.empty())
    fail(ErrorKind::Usage, "neither XDG_DATA_HOME nor HOME is set; name the library's folder");
  std::error_code ignored;
  if (!fs::exists(task.archive, ignored))
    fail(ErrorKind::NotFound, "there is no file {}", task.archive);
  check_library(library);
  const Placed placed = place_clip(task.archive, library, presets, observer);
  if (!placed.is_new)
    observer.notice(fmt::format("the library has the clip {} already", placed.id));
  GalleryRequest request;
  request.folders = {(library / kClipsFolder).string()};
  request.output = library.string();
  request.title = "Library";
  const GalleryReport report = make_gallery(request, observer);
  return {{"path", report.index},
          {"id", placed.id},
          {"new", placed.is_new},
          {"presets", placed.presets},
          {"clips", report.num_clips}};
}

}  // namespace sora
