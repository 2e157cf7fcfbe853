// tokenizer_config.json and its older companions special_tokens_map.json and added_tokens.json:
// which tokens a tokenizer adds to its vocabulary.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/text/added_tokens.h"

namespace sora {

struct TokenizerConfig {
  std::vector<AddedToken> tokens;  // in the order of their registration, without ids
  // Registered after them; empty where the files do not say.
  std::optional<std::vector<AddedToken>> extra;
  int64_t num_extra_ids = 100;  // how many <extra_id_N> there are if the files do not say
  std::string end_token = "</s>";

  // `tokenizer` is the content of tokenizer.json, or an empty object; its own list of added tokens
  // counts where tokenizer_config.json has none. Throws Error(Input) naming the field that is
  // wrong, unknown or cannot be honoured.
  static TokenizerConfig read(const std::filesystem::path& directory,
                              const nlohmann::json& tokenizer);

  // Of a vocabulary that comes without these files: T5's own tokens and those of the vocabulary
  // itself.
  static TokenizerConfig of_single_file();
};

}  // namespace sora
