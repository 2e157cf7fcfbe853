#include "lib/provenance/manifest.h"

#include <charconv>

#include "lib/core/config_reader.h"
#include "lib/core/error.h"

namespace sora {
namespace {

using nlohmann::json;

// The key that tells a manifest from other programs' metadata.
constexpr char kSchemaKey[] = "sora_manifest";

// 0.999999 rather than 0.9999989867210388: the shortest number that is the same f32.
double shortest_f32(double value) {
  char text[32];
  const auto written = std::to_chars(text, text + sizeof(text), static_cast<float>(value));
  double shortest = 0;
  std::from_chars(text, written.ptr, shortest);
  return shortest;
}

json to_json(const ManifestVideo& video) {
  return {{"width", video.width},
          {"height", video.height},
          {"num_frames", video.num_frames},
          {"fps", to_string(video.fps)}};
}

json to_json(const ManifestSchedule& schedule) {
  json sigmas = json::array();
  for (const double sigma : schedule.sigmas) sigmas.push_back(shortest_f32(sigma));
  return {{"scheduler", schedule.scheduler},
          {"sigmas", sigmas},
          {"guidance_scale", schedule.guidance_scale},
          {"guidance_scale_2", schedule.guidance_scale_2}};
}

ConfigReader get_object(const ConfigReader& reader, const std::string& field) {
  auto object = reader.get_object(field);
  if (!object) {
    fail(ErrorKind::Input, "{}: field \"{}\" is missing, expected an object", reader.description(),
         field);
  }
  return *object;
}

ManifestVideo read_video(const ConfigReader& reader) {
  ManifestVideo video;
  video.width = reader.get<int64_t>("width");
  video.height = reader.get<int64_t>("height");
  video.num_frames = reader.get<int64_t>("num_frames");
  try {
    video.fps = parse_rational(reader.get<std::string>("fps"));
  } catch (const Error& error) {
    fail(ErrorKind::Input, "{}: field \"fps\": {}", reader.description(), error.what());
  }
  reader.check_all_read();
  return video;
}

ManifestModel read_model(const ConfigReader& reader) {
  ManifestModel model;
  model.name = reader.get<std::string>("name");
  model.class_name = reader.get<std::string>("class_name");
  model.fingerprint = reader.get<std::string>("fingerprint");
  model.dtype = reader.get<std::string>("dtype");
  reader.check_all_read();
  return model;
}

ManifestSchedule read_schedule(const ConfigReader& reader) {
  ManifestSchedule schedule;
  schedule.scheduler = reader.get<std::string>("scheduler");
  schedule.sigmas = reader.get<std::vector<double>>("sigmas");
  for (double& sigma : schedule.sigmas) sigma = static_cast<float>(sigma);
  schedule.guidance_scale = reader.get<double>("guidance_scale");
  schedule.guidance_scale_2 = reader.get<double>("guidance_scale_2");
  reader.check_all_read();
  return schedule;
}

std::vector<ManifestSource> read_sources(const ConfigReader& manifest) {
  const json list = manifest.object().value("sources", json());
  manifest.ignore({"sources"});
  if (!list.is_array()) {
    fail(ErrorKind::Input, "{}: field \"sources\" is missing, expected a list",
         manifest.description());
  }
  std::vector<ManifestSource> sources;
  for (size_t i = 0; i < list.size(); ++i) {
    const ConfigReader reader(list[i], fmt::format("{}: sources[{}]", manifest.description(), i));
    sources.push_back({reader.get<std::string>("name"), reader.get<std::string>("sha256"),
                       reader.get<std::vector<std::string>>("watermarks", {})});
    reader.check_all_read();
  }
  return sources;
}

}  // namespace

json to_json(const Manifest& manifest) {
  json sources = json::array();
  for (const ManifestSource& source : manifest.sources) {
    sources.push_back({{"name", source.name}, {"sha256", source.sha256}});
    if (!source.watermarks.empty()) sources.back()["watermarks"] = source.watermarks;
  }
  json object = {{kSchemaKey, Manifest::kSchema},
                 {"created_by", manifest.created_by},
                 {"operation", manifest.operation},
                 {"request", manifest.request},
                 {"seed", manifest.seed},
                 {"model",
                  {{"name", manifest.model.name},
                   {"class_name", manifest.model.class_name},
                   {"fingerprint", manifest.model.fingerprint},
                   {"dtype", manifest.model.dtype}}},
                 {"sources", sources},
                 {"video", to_json(manifest.video)},
                 {"canvas", to_json(manifest.canvas)},
                 {"schedule", to_json(manifest.schedule)},
                 {"libraries", manifest.libraries}};
  if (!manifest.preset.empty()) object["preset"] = manifest.preset;
  if (!manifest.text.empty()) object["text"] = manifest.text;
  if (!manifest.tiled.empty()) object["tiled"] = manifest.tiled;
  if (!manifest.watermark.empty()) object["watermark"] = manifest.watermark;
  return object;
}

bool is_manifest(const json& object) { return object.is_object() && object.contains(kSchemaKey); }

Manifest manifest_from_json(const json& object, const std::string& description) {
  if (!is_manifest(object)) {
    fail(ErrorKind::Input, "{}: is no manifest of sora: it has no field \"{}\"", description,
         kSchemaKey);
  }
  const ConfigReader reader(object, description);
  Manifest manifest;
  manifest.created_by = reader.get<std::string>("created_by", "another version of sora");
  const auto schema = reader.get<int64_t>(kSchemaKey);
  if (schema != Manifest::kSchema) {
    fail(ErrorKind::Input,
         "{}: was written by {} in form {} of the manifest; this version reads {}", description,
         manifest.created_by, schema, Manifest::kSchema);
  }
  manifest.operation = reader.get<std::string>("operation");
  manifest.request = get_object(reader, "request").object();
  manifest.preset = reader.get<std::string>("preset", "");
  manifest.text = reader.get<std::string>("text", "");
  manifest.tiled = reader.get<std::vector<std::string>>("tiled", {});
  manifest.seed = reader.get<uint64_t>("seed");
  manifest.model = read_model(get_object(reader, "model"));
  manifest.sources = read_sources(reader);
  manifest.video = read_video(get_object(reader, "video"));
  manifest.canvas = read_video(get_object(reader, "canvas"));
  manifest.schedule = read_schedule(get_object(reader, "schedule"));
  manifest.watermark = reader.get<std::string>("watermark", "");
  const ConfigReader libraries = get_object(reader, "libraries");
  for (const auto& [library, version] : libraries.object().items()) {
    manifest.libraries[library] = libraries.get<std::string>(library);
  }
  reader.check_all_read();
  return manifest;
}

}  // namespace sora
