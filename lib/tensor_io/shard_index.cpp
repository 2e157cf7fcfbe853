#include "lib/tensor_io/shard_index.h"

#include <nlohmann/json.hpp>

#include "lib/core/error.h"
#include "lib/core/json_file.h"

namespace sora {

ShardIndex parse_shard_index(std::string_view text, const std::string& description) {
  const nlohmann::json index = parse_json(text, description);
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (map == index.end() || !map->is_object() || map->empty()) {
    fail(ErrorKind::Input, "{}: has no \"weight_map\" object with tensors", description);
  }
  ShardIndex shards;
  for (const auto& [tensor, file] : map->items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    if (name.empty() || name == "." || name == ".." ||
        name.find_first_of(std::string("/\\\0", 3)) != std::string::npos) {
      fail(ErrorKind::Input,
           "{}: weight_map of \"{}\" is {}, expected the plain name of a file beside the index",
           description, tensor, file.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
    }
    shards[tensor] = name;
  }
  return shards;
}

}  // namespace sora
