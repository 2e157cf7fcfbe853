#include "lib/core/config_reader.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "lib/core/error.h"
#include "lib/core/json_file.h"

namespace sora {
namespace {

using nlohmann::json;

bool convert(const json& value, bool& out) {
  if (!value.is_boolean()) return false;
  out = value.get<bool>();
  return true;
}

bool convert(const json& value, int64_t& out) {
  if (!value.is_number_integer()) return false;
  if (value.is_number_unsigned() && value.get<uint64_t>() > uint64_t{INT64_MAX}) return false;
  out = value.get<int64_t>();
  return true;
}

bool convert(const json& value, uint64_t& out) {
  if (!value.is_number_integer() || (!value.is_number_unsigned() && value.get<int64_t>() < 0)) {
    return false;
  }
  out = value.get<uint64_t>();
  return true;
}

bool convert(const json& value, double& out) {
  if (!value.is_number()) return false;
  out = value.get<double>();
  return true;
}

bool convert(const json& value, std::string& out) {
  if (!value.is_string()) return false;
  out = value.get<std::string>();
  return true;
}

template <typename T>
bool convert(const json& value, std::vector<T>& out) {
  if (!value.is_array()) return false;
  out.clear();
  for (const json& element : value) {
    T converted{};
    if (!convert(element, converted)) return false;
    out.push_back(std::move(converted));
  }
  return true;
}

std::string name_of(const bool*) { return "true or false"; }
std::string name_of(const int64_t*) { return "an integer"; }
std::string name_of(const uint64_t*) { return "an integer of at least 0"; }
std::string name_of(const double*) { return "a number"; }
std::string name_of(const std::string*) { return "a string"; }
template <typename T>
std::string name_of(const std::vector<T>*) {
  return "a list, each element " + name_of(static_cast<const T*>(nullptr));
}

// A config may hold anything, so what is quoted of it is cut short and kept printable.
std::string excerpt(const json& value) {
  constexpr size_t kMaxLength = 80;
  std::string text = value.dump(-1, ' ', true, json::error_handler_t::replace);
  if (text.size() > kMaxLength) text = text.substr(0, kMaxLength) + "...";
  return text;
}

template <typename T>
T converted(const json& value, const std::string& field, const std::string& description) {
  T result{};
  if (!convert(value, result)) {
    fail(ErrorKind::Input, "{}: field \"{}\" is {}, expected {}", description, field,
         excerpt(value), name_of(static_cast<const T*>(nullptr)));
  }
  return result;
}

}  // namespace

ConfigReader::ConfigReader(const json& object, std::string description)
    : object_(std::make_shared<json>(object)),
      read_(std::make_shared<std::set<std::string, std::less<>>>()),
      description_(std::move(description)) {
  if (!object_->is_object())
    fail(ErrorKind::Input, "{}: is {}, expected a JSON object", description_, excerpt(*object_));
}

ConfigReader ConfigReader::open(const std::filesystem::path& path) {
  return ConfigReader(read_json_file(path), path.string());
}

const json* ConfigReader::find(const std::string& field) const {
  read_->insert(field);
  const auto found = object_->find(field);
  return found == object_->end() || found->is_null() ? nullptr : &*found;
}

bool ConfigReader::has(const std::string& field) const {
  const auto found = object_->find(field);
  return found != object_->end() && !found->is_null();
}

template <typename T>
T ConfigReader::get(const std::string& field) const {
  const json* value = find(field);
  if (!value) {
    fail(ErrorKind::Input, "{}: field \"{}\" is missing, expected {}", description_, field,
         name_of(static_cast<const T*>(nullptr)));
  }
  return converted<T>(*value, field, description_);
}

template <typename T>
T ConfigReader::get(const std::string& field, const T& default_value) const {
  const json* value = find(field);
  return value ? converted<T>(*value, field, description_) : default_value;
}

template <typename T>
std::optional<T> ConfigReader::get_optional(const std::string& field) const {
  const json* value = find(field);
  if (!value) return std::nullopt;
  return converted<T>(*value, field, description_);
}

template <typename T>
void ConfigReader::require(const std::string& field, const T& wanted) const {
  const json* value = find(field);
  if (value && converted<T>(*value, field, description_) != wanted) {
    fail(ErrorKind::Input, "{}: field \"{}\" is {}; only {} is supported", description_, field,
         excerpt(*value), json(wanted).dump());
  }
}

std::optional<ConfigReader> ConfigReader::get_object(const std::string& field) const {
  const json* value = find(field);
  if (!value) return std::nullopt;
  return ConfigReader(*value, fmt::format("{}: {}", description_, field));
}

void ConfigReader::expect_class(std::string_view class_name) const {
  if (has("_class_name")) {
    const std::string found =
        converted<std::string>(*find("_class_name"), "_class_name", description_);
    if (found == class_name) return;
    fail(ErrorKind::Input, "{}: describes a {}, expected a {}", description_, found, class_name);
  }
  const auto architectures = get_optional<std::vector<std::string>>("architectures");
  if (!architectures || architectures->empty()) return;
  for (const std::string& found : *architectures) {
    if (found == class_name) return;
  }
  fail(ErrorKind::Input, "{}: describes a {}, expected a {}", description_, architectures->front(),
       class_name);
}

void ConfigReader::ignore(std::initializer_list<std::string_view> fields) const {
  for (const std::string_view field : fields) read_->emplace(field);
}

void ConfigReader::check_all_read() const {
  constexpr int kMaxNamed = 5;
  std::string unread;
  int num_unread = 0;
  for (const auto& [field, value] : object_->items()) {
    if (field.empty() || field[0] == '_' || read_->contains(field)) continue;
    if (++num_unread > kMaxNamed) continue;
    unread +=
        fmt::format("{}{} = {}", unread.empty() ? "" : ", ", excerpt(json(field)), excerpt(value));
  }
  if (num_unread == 0) return;
  if (num_unread > kMaxNamed) unread += fmt::format(" and {} more", num_unread - kMaxNamed);
  fail(ErrorKind::Input,
       "{}: unknown field {}; this version cannot know whether it changes the result", description_,
       unread);
}

#define SORA_CONFIG_TYPE(...)                                                                     \
  template __VA_ARGS__ ConfigReader::get<__VA_ARGS__>(const std::string&) const;                  \
  template __VA_ARGS__ ConfigReader::get<__VA_ARGS__>(const std::string&, const __VA_ARGS__&)     \
      const;                                                                                      \
  template std::optional<__VA_ARGS__> ConfigReader::get_optional<__VA_ARGS__>(const std::string&) \
      const;                                                                                      \
  template void ConfigReader::require<__VA_ARGS__>(const std::string&, const __VA_ARGS__&) const;

SORA_CONFIG_TYPE(bool)
SORA_CONFIG_TYPE(int64_t)
SORA_CONFIG_TYPE(uint64_t)
SORA_CONFIG_TYPE(double)
SORA_CONFIG_TYPE(std::string)
SORA_CONFIG_TYPE(std::vector<bool>)
SORA_CONFIG_TYPE(std::vector<int64_t>)
SORA_CONFIG_TYPE(std::vector<double>)
SORA_CONFIG_TYPE(std::vector<std::string>)
SORA_CONFIG_TYPE(std::vector<std::vector<int64_t>>)

#undef SORA_CONFIG_TYPE

}  // namespace sora
