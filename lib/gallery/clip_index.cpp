// clips.json: {"sora_gallery": 1, "clips": [...]}.
#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/gallery/gallery.h"
#include "lib/tensor_io/atomic_file.h"

namespace sora {
namespace {

using nlohmann::json;

constexpr int kSchema = 1;

}  // namespace

json to_json(const GalleryClip& clip) {
  return {{"id", clip.id},
          {"sha256", clip.sha256},
          {"path", clip.path},
          {"media", clip.media},
          {"poster", clip.poster},
          {"preview", clip.preview},
          {"name", clip.name},
          {"prompt", clip.prompt},
          {"operation", clip.operation},
          {"model", clip.model},
          {"preset", clip.preset},
          {"seed", clip.seed},
          {"width", clip.width},
          {"height", clip.height},
          {"num_frames", clip.num_frames},
          {"fps", clip.fps},
          {"made", clip.made},
          {"size_bytes", clip.size_bytes},
          {"sources", clip.source_sha256},
          {"source_pictures", clip.source_pictures},
          {"manifest", clip.manifest}};
}

GalleryClip clip_from_json(const json& object) {
  GalleryClip clip;
  object.at("id").get_to(clip.id);
  object.at("sha256").get_to(clip.sha256);
  object.at("path").get_to(clip.path);
  object.at("media").get_to(clip.media);
  object.at("poster").get_to(clip.poster);
  object.at("preview").get_to(clip.preview);
  object.at("name").get_to(clip.name);
  object.at("prompt").get_to(clip.prompt);
  object.at("operation").get_to(clip.operation);
  object.at("model").get_to(clip.model);
  object.at("preset").get_to(clip.preset);
  object.at("seed").get_to(clip.seed);
  object.at("width").get_to(clip.width);
  object.at("height").get_to(clip.height);
  object.at("num_frames").get_to(clip.num_frames);
  object.at("fps").get_to(clip.fps);
  object.at("made").get_to(clip.made);
  object.at("size_bytes").get_to(clip.size_bytes);
  object.at("sources").get_to(clip.source_sha256);
  clip.source_pictures = object.value("source_pictures", std::vector<std::string>());
  clip.manifest = object.at("manifest");
  return clip;
}

std::vector<GalleryClip> read_index(const std::filesystem::path& gallery) {
  const std::filesystem::path path = gallery / "clips.json";
  if (!std::filesystem::exists(path)) return {};
  const json index = parse_json(read_file(path.string()), path.string());
  try {
    if (index.at("sora_gallery") != kSchema) {
      fail(ErrorKind::Input,
           "{} was written by another version of sora; make the gallery anew in another folder",
           path.string());
    }
    std::vector<GalleryClip> clips;
    for (const json& clip : index.at("clips")) clips.push_back(clip_from_json(clip));
    return clips;
  } catch (const json::exception& error) {
    fail(ErrorKind::Input,
         "{} is no index of a gallery ({}); make the gallery anew in another folder", path.string(),
         error.what());
  }
}

void write_index(const std::filesystem::path& gallery, const std::vector<GalleryClip>& clips) {
  json rows = json::array();
  for (const GalleryClip& clip : clips) rows.push_back(to_json(clip));
  const std::string text = json({{"sora_gallery", kSchema}, {"clips", rows}}).dump() + "\n";
  AtomicFile file(gallery / "clips.json");
  file.write(text.data(), text.size());
  file.commit();
}

}  // namespace sora
