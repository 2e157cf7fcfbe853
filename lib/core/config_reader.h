// Reads one JSON config of a model component (config.json, scheduler_config.json,
// tokenizer_config.json) so that no field is silently ignored: every field is either read by the
// code that builds the component, declared harmless by ignore(), or an error that names it.
//
//   ConfigReader config = ConfigReader::open(directory / "config.json");
//   config.expect_class("WanTransformer3DModel");
//   const int64_t num_layers = config.get<int64_t>("num_layers", 40);
//   const auto image_dim = config.get_optional<int64_t>("image_dim");  // absent and null are the
//   same config.ignore({"gradient_checkpointing"}); config.check_all_read();
#pragma once

#include <filesystem>
#include <initializer_list>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace sora {

class ConfigReader {
 public:
  // `description` names the config in error messages, usually its path. Throws Error(Input) unless
  // it is an object.
  ConfigReader(const nlohmann::json& object, std::string description);

  // Throws Error(NotFound), Error(Io) or Error(Input) as read_json_file does.
  static ConfigReader open(const std::filesystem::path& path);

  // T is bool, int64_t, uint64_t, double, std::string, or std::vector of one of these (or of
  // std::vector<int64_t>); an integer is accepted where a double is asked, nothing else is
  // converted. A null counts as absent in get_optional and in get with a default. Throws
  // Error(Input) naming the field, what was found and what was wanted.
  template <typename T>
  T get(const std::string& field) const;
  template <typename T>
  T get(const std::string& field, const T& default_value) const;
  template <typename T>
  std::optional<T> get_optional(const std::string& field) const;
  // A nested object; check_all_read() of the parent does not look inside, the child has its own.
  std::optional<ConfigReader> get_object(const std::string& field) const;

  bool has(const std::string& field) const;  // present and not null; does not count as reading it

  // Throws Error(Input) unless `_class_name` (diffusers) or one of `architectures` (transformers)
  // is this name; a config which names no class passes.
  void expect_class(std::string_view class_name) const;

  // Throws Error(Input) when the field is present with another value than the only one this program
  // implements.
  template <typename T>
  void require(const std::string& field, const T& value) const;

  // Fields that have no part in the mathematics.
  void ignore(std::initializer_list<std::string_view> fields) const;

  // Throws Error(Input) naming the fields that nothing above has read. Names beginning with "_" are
  // bookkeeping of diffusers and transformers and never count.
  void check_all_read() const;

  const nlohmann::json& object() const { return *object_; }
  const std::string& description() const { return description_; }

 private:
  const nlohmann::json* find(
      const std::string& field) const;  // null pointer when absent or null; marks it read

  std::shared_ptr<const nlohmann::json> object_;
  std::shared_ptr<std::set<std::string, std::less<>>> read_;
  std::string description_;
};

}  // namespace sora
