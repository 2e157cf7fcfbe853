#include "lib/media/metadata.h"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "lib/core/json_file.h"
#include "lib/media/media_input.h"
#include "lib/media/output_file.h"

namespace sora {
namespace {

// A comment may be anyone's free text.
bool is_json_object(const std::string& text) {
  try {
    return parse_json(text, "metadata").is_object();
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

std::string sidecar_path(const std::string& path) { return path + ".json"; }

void write_sidecar(const std::string& path, const std::string& metadata_json, bool force) {
  OutputFile file(sidecar_path(path), force);
  file.write(metadata_json.data(), metadata_json.size());
  file.commit();
}

std::string embedded_metadata(MediaInput& input) {
  const AVDictionaryEntry* entry = av_dict_get(input.context().metadata, "comment", nullptr, 0);
  return entry && is_json_object(entry->value) ? entry->value : "";
}

std::string sidecar_metadata(const std::string& path) {
  std::error_code error;
  const std::string sidecar = sidecar_path(path);
  if (!std::filesystem::is_regular_file(sidecar, error)) return "";
  const std::string text = read_file(sidecar);
  return is_json_object(text) ? text : "";
}

}  // namespace sora
