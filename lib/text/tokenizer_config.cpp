#include "lib/text/tokenizer_config.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "lib/core/config_reader.h"
#include "lib/core/error.h"
#include "lib/core/json_file.h"

namespace sora {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kMaxExtraIds = 10'000;

// In the order in which the tokenizer class registers them, with its defaults.
struct NamedToken {
  const char* field;
  const char* default_text;  // null where the class has none
};
constexpr NamedToken kNamedTokens[] = {
    {"bos_token", nullptr}, {"eos_token", "</s>"},  {"unk_token", "<unk>"},  {"sep_token", nullptr},
    {"pad_token", "<pad>"}, {"cls_token", nullptr}, {"mask_token", nullptr},
};

// Bookkeeping, and settings that T5Tokenizer does not look at.
constexpr std::string_view kIgnoredFields[] = {
    "add_bos_token",
    "add_eos_token",
    "add_prefix_space",
    "auto_map",
    "backend",
    "chat_template",
    "device_map",
    "errors",
    "clean_up_tokenization_spaces",
    "files_loaded",
    "is_local",
    "legacy",
    "local_files_only",
    "max_length",
    "model_input_names",
    "model_max_length",
    "name_or_path",
    "pad_to_multiple_of",
    "pad_token_type_id",
    "processor_class",
    "sp_model_kwargs",
    "stride",
    "tokenizer_class",
    "spaces_between_special_tokens",
    "tokenizer_file",
    "truncation_strategy",
    "special_tokens_map_file",
    "unk_id",
    "use_fast",
    "vocab_file",
};

// A token is written as its text, or as an object with its flags.
AddedToken token_of(const json& value, const std::string& description) {
  AddedToken token;
  if (value.is_string()) {
    token.text = value.get<std::string>();
    return token;
  }
  const ConfigReader reader(value, description);
  token.text = reader.get<std::string>("content");
  token.single_word = reader.get("single_word", false);
  token.strip_left = reader.get("lstrip", false);
  token.strip_right = reader.get("rstrip", false);
  token.normalized = reader.get("normalized", !reader.get("special", false));
  reader.ignore({"id"});
  reader.check_all_read();
  return token;
}

json read_object(const fs::path& path) {
  if (!fs::exists(path)) return json::object();
  json object = read_json_file(path);
  if (!object.is_object()) fail(ErrorKind::Input, "{}: is not a JSON object", path.string());
  return object;
}

// Ids to tokens, as "added_tokens_decoder" has them, from the three places where they were kept
// before.
json older_added_tokens(const fs::path& directory, const json& tokenizer) {
  json decoder = json::object();
  const json added = read_object(directory / "added_tokens.json");
  for (const auto& [text, id] : added.items()) {
    if (id.is_number_integer()) decoder[std::to_string(id.get<int64_t>())] = {{"content", text}};
  }
  const auto list = tokenizer.find("added_tokens");
  if (list == tokenizer.end() || !list->is_array()) return decoder;
  for (const json& token : *list) {
    const auto id = token.is_object() ? token.find("id") : token.end();
    if (id != token.end() && id->is_number_integer())
      decoder[std::to_string(id->get<int64_t>())] = token;
  }
  return decoder;
}

std::map<int64_t, AddedToken> numbered_tokens(const json& decoder, const std::string& description) {
  constexpr size_t kMaxDigits = 9;
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  std::map<int64_t, AddedToken> tokens;
  if (!decoder.is_object())
    fail(ErrorKind::Input, "{}: added_tokens_decoder is not an object", description);
  for (const auto& [id, value] : decoder.items()) {
    if (id.empty() || id.size() > kMaxDigits || !std::all_of(id.begin(), id.end(), is_digit)) {
      fail(ErrorKind::Input, "{}: added_tokens_decoder has the id \"{}\"", description, id);
    }
    tokens.emplace(std::stoll(id), token_of(value, description));
  }
  return tokens;
}

// Under one of two names; an empty list of the newer name leaves the word to the older.
std::optional<std::vector<AddedToken>> extra_tokens(const json& object,
                                                    const std::string& description) {
  const json* list = nullptr;
  for (const char* field : {"additional_special_tokens", "extra_special_tokens"}) {
    const auto found = object.find(field);
    if (found != object.end() && found->is_array() && (!list || !found->empty())) list = &*found;
  }
  if (!list) return std::nullopt;
  std::vector<AddedToken> tokens;
  for (const json& token : *list) tokens.push_back(token_of(token, description));
  return tokens;
}

void check_settings(const ConfigReader& reader) {
  reader.require("split_special_tokens", false);
  reader.require<std::string>("padding_side", "right");
  reader.require<std::string>("truncation_side", "right");
  for (const std::string_view field : kIgnoredFields) reader.ignore({field});
  for (const NamedToken& named : kNamedTokens) reader.ignore({named.field});
  reader.ignore(
      {"added_tokens_decoder", "additional_special_tokens", "extra_special_tokens", "extra_ids"});
  reader.check_all_read();
}

}  // namespace

TokenizerConfig TokenizerConfig::read(const fs::path& directory, const json& tokenizer) {
  const std::string description = (directory / "tokenizer_config.json").string();
  json object = read_object(directory / "tokenizer_config.json");
  if (!object.contains("added_tokens_decoder")) {
    const json special = read_object(directory / "special_tokens_map.json");
    for (const auto& [name, value] : special.items()) object[name] = value;
    object["added_tokens_decoder"] = older_added_tokens(directory, tokenizer);
  }
  const ConfigReader reader(object, description);
  check_settings(reader);

  TokenizerConfig config;
  config.num_extra_ids = reader.get<int64_t>("extra_ids", config.num_extra_ids);
  if (config.num_extra_ids < 0 || config.num_extra_ids > kMaxExtraIds) {
    fail(ErrorKind::Input, "{}: extra_ids is {}, expected 0 to {}", description,
         config.num_extra_ids, kMaxExtraIds);
  }
  const std::map<int64_t, AddedToken> numbered =
      numbered_tokens(object["added_tokens_decoder"], description);
  for (const auto& [id, token] : numbered) config.tokens.push_back(token);
  for (const NamedToken& named : kNamedTokens) {
    const auto found = object.find(named.field);
    const bool given = found != object.end() && !found->is_null();
    if (!given && !named.default_text) continue;
    AddedToken token =
        given ? token_of(*found, description) : AddedToken{.text = named.default_text};
    if (std::string_view(named.field) == "eos_token") config.end_token = token.text;
    config.tokens.push_back(std::move(token));
  }
  config.extra = extra_tokens(object, description);
  return config;
}

TokenizerConfig TokenizerConfig::of_single_file() {
  TokenizerConfig config;
  config.num_extra_ids = 0;
  for (const NamedToken& named : kNamedTokens) {
    if (named.default_text) config.tokens.push_back({.text = named.default_text});
  }
  return config;
}

}  // namespace sora
