// Whatever a new operation adds to its request is read here without being named: only keys that are
// known to hold no text for the model are left out.
#include <fmt/format.h>

#include <set>

#include "lib/provenance/policy.h"
#include "lib/text/prompt_cleaning.h"

namespace sora {
namespace {

using nlohmann::json;

// Files, models and settings.
const std::set<std::string>& other_keys() {
  static const std::set<std::string> keys = {
      "operation",  "model",         "models_dir",    "vae",      "text_encoder",
      "tokenizer",  "image_encoder", "transformer_2", "dtype",    "device",
      "scheduler",  "size",          "resolution",    "aspect",   "fps",
      "image",      "last_image",    "source",        "source_a", "source_b",
      "sources",    "video",         "first",         "second",   "a",
      "b",          "files",         "mode",          "curve",    "direction",
      "files_dir",  "file",          "codec",         "path",     "sha256",
      "references", "control"};
  return keys;
}

void add(std::vector<PolicyText>& texts, const std::string& field, const std::string& text) {
  const bool is_negative = field.find("negative") != field.npos;
  texts.push_back({field, text, is_negative});
  const std::string cleaned = clean_prompt(text);
  if (cleaned != text) texts.push_back({field, cleaned, is_negative});
}

void walk(std::vector<PolicyText>& texts, const std::string& field, const json& value) {
  if (value.is_string()) {
    add(texts, field, value.get<std::string>());
  } else if (value.is_array()) {
    for (size_t i = 0; i < value.size(); ++i)
      walk(texts, fmt::format("{}[{}]", field, i), value[i]);
  } else if (value.is_object()) {
    for (const auto& [key, member] : value.items()) {
      if (!other_keys().count(key)) walk(texts, field.empty() ? key : field + "." + key, member);
    }
  }
}

}  // namespace

std::vector<PolicyText> texts_of(const Request& request) {
  std::vector<PolicyText> texts;
  walk(texts, "", to_json(request));
  return texts;
}

}  // namespace sora
