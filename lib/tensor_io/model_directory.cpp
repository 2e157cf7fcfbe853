#include "lib/tensor_io/model_directory.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "lib/core/error.h"
#include "lib/core/json_file.h"

namespace sora {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

bool is_library(const std::string& name) { return name == "diffusers" || name == "transformers"; }

}  // namespace

ModelDirectory ModelDirectory::open(const fs::path& path) {
  const fs::path index_path = path / "model_index.json";
  if (!fs::exists(index_path)) {
    fail(ErrorKind::NotFound,
         "{}: has no model_index.json; expected a directory that diffusers' save_pretrained has "
         "written",
         path.string());
  }
  const json index = read_json_file(index_path);
  if (!index.is_object()) fail(ErrorKind::Input, "{}: is not a JSON object", index_path.string());

  // A list is a component, everything else a setting.
  json settings = json::object();
  std::vector<ModelComponent> components;
  for (const auto& [name, value] : index.items()) {
    if (!value.is_array()) {
      settings[name] = value;
      continue;
    }
    if (value.size() == 2 && value[0].is_null() && value[1].is_null()) continue;
    if (value.size() != 2 || !value[0].is_string() || !value[1].is_string()) {
      fail(ErrorKind::Input, "{}: component \"{}\" is {}, expected [library, class]",
           index_path.string(), name, value.dump(-1, ' ', true, json::error_handler_t::replace));
    }
    const std::string library = value[0].get<std::string>();
    if (!is_library(library)) {
      fail(
          ErrorKind::Input,
          "{}: component \"{}\" comes from \"{}\", expected diffusers or transformers; custom code "
          "is not run",
          index_path.string(), name, library);
    }
    components.push_back({name, value[1].get<std::string>(), path / name});
  }

  ModelDirectory result(path, ConfigReader(settings, index_path.string()));
  result.pipeline_class_ = result.settings_.get<std::string>("_class_name");
  result.components_ = std::move(components);
  return result;
}

std::optional<ModelComponent> ModelDirectory::find(
    const std::string& name, std::initializer_list<std::string_view> classes) const {
  used_->insert(name);
  const auto found =
      std::find_if(components_.begin(), components_.end(),
                   [&](const ModelComponent& component) { return component.name == name; });
  if (found == components_.end()) return std::nullopt;
  if (std::find(classes.begin(), classes.end(), found->class_name) == classes.end()) {
    fail(ErrorKind::Input, "{}: component \"{}\" is a {}; supported: {}", settings_.description(),
         name, found->class_name, fmt::join(classes, ", "));
  }
  if (!fs::is_directory(found->directory)) {
    fail(ErrorKind::NotFound,
         "{}: the directory of component \"{}\" ({}) is missing; download the model again",
         found->directory.string(), name, found->class_name);
  }
  return *found;
}

ModelComponent ModelDirectory::get(const std::string& name,
                                   std::initializer_list<std::string_view> classes) const {
  if (auto component = find(name, classes)) return *component;
  fail(ErrorKind::Input, "{}: has no component \"{}\", expected a {}", settings_.description(),
       name, fmt::join(classes, " or "));
}

void ModelDirectory::ignore(std::initializer_list<std::string_view> names) const {
  for (const std::string_view name : names) used_->emplace(name);
}

void ModelDirectory::check_all_used() const {
  for (const ModelComponent& component : components_) {
    if (!used_->contains(component.name)) {
      fail(ErrorKind::Input, "{}: component \"{}\" ({}) has no place in a {} here",
           settings_.description(), component.name, component.class_name, pipeline_class_);
    }
  }
  settings_.check_all_read();
}

}  // namespace sora
