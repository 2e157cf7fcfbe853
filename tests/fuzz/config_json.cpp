// Configs of components, with the fields of every kind that ConfigReader reads.
#include <nlohmann/json.hpp>

#include "lib/core/config_reader.h"
#include "lib/core/json_file.h"
#include "tests/fuzz/fuzz_target.h"

SORA_FUZZ_TARGET(config_json) {
  const sora::ConfigReader config(sora::parse_json(bytes, "config.json"), "config.json");
  config.expect_class("WanTransformer3DModel");
  config.get<int64_t>("num_layers", 1);
  config.get_optional<std::vector<int64_t>>("patch_size");
  config.get<double>("eps", 1e-6);
  config.check_all_read();
}
