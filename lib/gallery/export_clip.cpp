// What is packed besides the clip is looked up where it was when the clip was made, and only if it
// still is the same file by its digest: a storyboard and what its cards show, thumbnails of
// sources, the preset.
#include <algorithm>
#include <cstdlib>
#include <map>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/gallery/gallery_id.h"
#include "lib/gallery/packing.h"
#include "lib/gallery/share.h"
#include "lib/gallery/thumbnails.h"
#include "lib/media/video_reader.h"
#include "lib/pipelines/presets.h"
#include "lib/pipelines/storyboard.h"
#include "lib/provenance/digest.h"
#include "lib/provenance/manifest.h"

namespace sora {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

// A folder that is removed with its owner.
class ScratchFolder {
 public:
  ScratchFolder() {
    std::string name = (fs::temp_directory_path() / "sora-export-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr)
      fail(ErrorKind::Io, "no folder can be made below {}", fs::temp_directory_path().string());
    path_ = name;
  }
  ~ScratchFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

bool is_file_of(const fs::path& path, const std::string& sha256) {
  std::error_code error;
  return fs::is_regular_file(path, error) && sha256_of_file(path) == sha256;
}

// By name, with the digest that the manifest says.
void check_source(const std::string& path, const std::map<std::string, std::string>& digests) {
  const auto said = digests.find(path);
  if (said == digests.end() || !is_file_of(path, said->second))
    fail(ErrorKind::Input, "{} is not the file that the clip was made from", path);
}

// The board with its files under names of the archive. `is_packed`: it lies beside the clip, as an
// archive was unpacked; otherwise its files must be those that the manifest lists.
void pack_storyboard(const fs::path& board, bool is_packed, const Manifest& manifest,
                     Packer& packer, Observer& observer) {
  std::map<std::string, std::string> digests;
  for (const ManifestSource& source : manifest.sources) digests[source.name] = source.sha256;
  Storyboard storyboard;
  std::map<std::string, std::string> names;  // by path
  try {
    if (!is_packed) check_source(board.string(), digests);
    storyboard = read_storyboard(board.string());
    for (Card& card : storyboard.cards) {
      for (std::string* path : {&card.image, &card.video}) {
        if (path->empty()) continue;
        if (!is_packed) check_source(*path, digests);
        const auto [name, is_new] = names.try_emplace(*path);
        if (is_new) {
          name->second =
              fmt::format("card-{}{}", names.size(), fs::path(*path).extension().string());
          place_in_archive(
              "the archive",
              "storyboard/" + name->second);  // throws where such a file cannot be packed
          if (!fs::is_regular_file(*path)) fail(ErrorKind::NotFound, "there is no file {}", *path);
        }
        *path = name->second;
      }
    }
  } catch (const Error& error) {
    observer.notice(fmt::format("the storyboard is left out: {}", error.what()));
    return;
  }
  packer.add("storyboard/board.json", to_json(storyboard).dump(2) + "\n");
  for (const auto& [path, name] : names) packer.add_file("storyboard/" + name, path);
}

void pack_thumbnail(const ManifestSource& source, const std::map<std::string, fs::path>& posters,
                    const fs::path& scratch, Packer& packer, Observer& observer) {
  const std::string name = "sources/" + source.sha256 + ".webp";
  const auto poster = posters.find(source.sha256);
  if (poster != posters.end()) return packer.add_file(name, poster->second);
  if (!is_file_of(source.name, source.sha256)) {
    return observer.notice(
        fmt::format("no thumbnail of {}: it is not there any more, or changed", source.name));
  }
  try {
    const fs::path thumbnail = scratch / (source.sha256 + ".webp");
    write_thumbnails(source.name, thumbnail, scratch / "preview.webp");
    packer.add_file(name, thumbnail);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Input) throw;  // not a picture: a storyboard's own file
  }
}

std::map<std::string, fs::path> posters_of_galleries() {
  std::map<std::string, fs::path> posters;
  for (const fs::path& gallery : registered_galleries()) {
    for (const GalleryClip& clip : read_index(gallery)) {
      const fs::path poster = gallery / clip.poster;
      if (!clip.poster.empty() && fs::is_regular_file(poster))
        posters.try_emplace(clip.sha256, poster);
    }
  }
  return posters;
}

void pack_preset(const Manifest& manifest, const PresetFolders& folders, Packer& packer,
                 Observer& observer) {
  if (manifest.preset.empty()) return;
  for (const Preset& preset : list_presets(folders.built_in, folders.own)) {
    if (preset.name != manifest.preset) continue;
    const json prompt = manifest.request.value(json::json_pointer("/arguments/prompt"), json());
    const bool is_same =
        prompt.is_string() && prompt.get<std::string>().find(preset.prompt) != std::string::npos;
    if (is_same && is_preset_name(preset.name))
      return packer.add_file("presets/" + preset.name + ".yaml", preset.path);
  }
  observer.notice(fmt::format("the preset {} is left out: it is not there any more, or changed",
                              manifest.preset));
}

fs::path file_of(const std::string& clip) {
  if (clip.starts_with("gallery:")) return resolve_gallery_id(clip);
  std::error_code error;
  if (fs::is_regular_file(clip, error)) return clip;
  if (is_clip_extension(fs::path(clip).extension().string()))
    fail(ErrorKind::NotFound, "{}: there is no such file", clip);
  return find_in_galleries(clip).file;
}

}  // namespace

json export_clip(const ExportClip& task, const PresetFolders& presets, Observer& observer) {
  const fs::path clip = file_of(task.clip);
  const std::string extension = clip.extension().string();
  if (!is_clip_extension(extension))
    fail(ErrorKind::Input, "{}: a file of this kind is not packed", clip.string());
  const FileInfo info = probe(clip.string());
  if (info.metadata_json.empty()) {
    fail(ErrorKind::Input,
         "{} holds no manifest, so there is nothing to say of its making; it was not made by this "
         "program or lost it",
         clip.string());
  }
  const json recipe = parse_json(info.metadata_json, clip.string());
  const Manifest manifest = manifest_from_json(recipe, clip.string());
  const std::string sha256 = sha256_of_file(clip);

  const ScratchFolder scratch;
  Packer packer(ArchiveKind::Clip);
  packer.add_file("clip" + extension, clip);
  packer.add(kRecipeName, recipe.dump(2) + "\n");
  fs::path board = packed_storyboard(clip);
  const bool is_packed = !board.empty();
  if (!is_packed) {
    const json named = manifest.request.value(json::json_pointer("/arguments/storyboard"), json());
    if (named.is_string() && !named.get<std::string>().empty()) board = named.get<std::string>();
  }
  if (!board.empty()) pack_storyboard(board, is_packed, manifest, packer, observer);
  if (!manifest.sources.empty()) {
    const std::map<std::string, fs::path> posters = posters_of_galleries();
    std::vector<std::string> packed;
    for (const ManifestSource& source : manifest.sources) {
      check_stop(observer);
      if (std::find(packed.begin(), packed.end(), source.sha256) != packed.end()) continue;
      packed.push_back(source.sha256);
      const fs::path kept = clip.parent_path() / kSourcesFolder / (source.sha256 + ".webp");
      if (fs::is_regular_file(kept)) {
        packer.add_file("sources/" + source.sha256 + ".webp", kept);
      } else {
        pack_thumbnail(source, posters, scratch.path(), packer, observer);
      }
    }
  }
  pack_preset(manifest, presets, packer, observer);

  const std::string id = sha256.substr(0, kGalleryIdDigits);
  const std::string output = task.output.empty() ? id + ".sora" : task.output;
  packer.write(output, {{"id", id}, {"name", safe_file_name(clip.filename().string())}},
               task.force);
  return {{"path", output}, {"id", id}, {"sha256", sha256}};
}

}  // namespace sora
