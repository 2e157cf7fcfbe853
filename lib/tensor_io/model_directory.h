// A directory as diffusers' save_pretrained writes it: model_index.json names the pipeline's class,
// each component's library and class, and plain settings; each component has its own subdirectory.
#pragma once

#include <filesystem>
#include <initializer_list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "lib/core/config_reader.h"

namespace sora {

struct ModelComponent {
  std::string name;        // "transformer_2"
  std::string class_name;  // "WanTransformer3DModel"
  std::filesystem::path directory;
};

class ModelDirectory {
 public:
  // Throws Error(NotFound) without model_index.json, Error(Input) where it is not one.
  static ModelDirectory open(const std::filesystem::path& path);

  const std::filesystem::path& path() const { return path_; }
  const std::string& pipeline_class() const { return pipeline_class_; }  // "WanPipeline"
  const std::vector<ModelComponent>& components() const { return components_; }

  // The component of that name, empty where the model has none or declares it [null, null]. Counts
  // as used. Throws Error(Input) naming the class found and the ones wanted, Error(NotFound) when
  // its directory is missing.
  std::optional<ModelComponent> find(const std::string& name,
                                     std::initializer_list<std::string_view> classes) const;
  // The same for one that the model cannot be without.
  ModelComponent get(const std::string& name,
                     std::initializer_list<std::string_view> classes) const;

  // The settings that are not components: boundary_ratio, expand_timesteps.
  const ConfigReader& settings() const { return settings_; }

  // Components that have no part in what is asked of the model, such as a feature extractor.
  void ignore(std::initializer_list<std::string_view> names) const;

  // Throws Error(Input) naming a component nobody has asked for, or a setting nobody has read.
  void check_all_used() const;

 private:
  ModelDirectory(std::filesystem::path path, ConfigReader settings)
      : path_(std::move(path)),
        settings_(std::move(settings)),
        used_(std::make_shared<std::set<std::string, std::less<>>>()) {}

  std::filesystem::path path_;
  std::string pipeline_class_;
  std::vector<ModelComponent> components_;
  ConfigReader settings_;
  std::shared_ptr<std::set<std::string, std::less<>>> used_;
};

}  // namespace sora
