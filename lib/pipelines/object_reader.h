// Strict reading of JSON objects into the fields of a request: an unknown key or a wrong type is an
// error that names it.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <type_traits>
#include <vector>

#include "lib/core/error.h"
#include "lib/pipelines/request.h"

namespace sora {

// Reads the members of one object and remembers which were asked for.
class ObjectReader {
 public:
  ObjectReader(const nlohmann::json& object, std::string where)
      : object_(object), where_(std::move(where)) {
    if (!object_.is_object()) fail(ErrorKind::Usage, "{} is not a JSON object", where_);
  }

  template <typename T>
  void read(const char* key, T& value) {
    known_.insert(key);
    if (const auto found = object_.find(key); found != object_.end())
      value = convert<T>(key, *found);
  }

  template <typename T>
  void read(const char* key, std::optional<T>& value) {
    known_.insert(key);
    if (const auto found = object_.find(key); found != object_.end())
      value = convert<T>(key, *found);
  }

  void check_all_known() const {
    for (const auto& [key, value] : object_.items()) {
      if (!known_.count(key)) fail(ErrorKind::Usage, "{} has an unknown key '{}'", where_, key);
    }
  }

 private:
  template <typename T>
  T convert(const char* key, const nlohmann::json& value) const {
    try {
      if constexpr (std::is_same_v<T, Size>) {
        return parse_size(value.get<std::string>());
      } else if constexpr (std::is_same_v<T, Rational>) {
        return parse_rational(value.get<std::string>());
      } else if constexpr (std::is_same_v<T, Curve>) {
        return parse_curve(value.get<std::string>());
      } else if constexpr (std::is_same_v<T, std::vector<TimeRange>>) {
        std::vector<TimeRange> ranges;
        for (const auto& range : value.get<std::vector<std::string>>())
          ranges.push_back(parse_time_range(range));
        return ranges;
      } else {
        return value.get<T>();
      }
    } catch (const nlohmann::json::exception&) {
      fail(ErrorKind::Usage, "{}: the value {} of '{}' has the wrong type", where_, value.dump(),
           key);
    }
  }

  const nlohmann::json& object_;
  std::string where_;
  std::set<std::string> known_;
};

// These write only what was asked.
template <typename T>
void put(nlohmann::json& object, const char* key, const std::optional<T>& value) {
  if (!value) return;
  if constexpr (std::is_same_v<T, Size> || std::is_same_v<T, Rational>) {
    object[key] = to_string(*value);
  } else {
    object[key] = *value;
  }
}

inline void put(nlohmann::json& object, const char* key, const std::string& value) {
  if (!value.empty()) object[key] = value;
}

inline void put_flag(nlohmann::json& object, const char* key, bool value) {
  if (value) object[key] = true;
}

}  // namespace sora
