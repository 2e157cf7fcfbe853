#include "lib/text/tokenizer_files.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "lib/core/config_reader.h"
#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/text/sentencepiece_model.h"

namespace sora {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kMaxSentencePieceBytes = 16 << 20;
constexpr size_t kMaxPieces = 512 << 10;
constexpr int64_t kMaxExtraIds = 10'000;

// In the order in which the tokenizer class adds them.
constexpr const char* kNamedTokens[] = {"bos_token", "eos_token", "unk_token", "sep_token",
                                        "pad_token", "cls_token", "mask_token"};

std::string decode_base64(const std::string& text, const std::string& description) {
  std::string bytes;
  uint32_t bits = 0;
  int num_bits = 0;
  for (const char c : text) {
    uint32_t digit = 0;
    if (c >= 'A' && c <= 'Z') {
      digit = static_cast<uint32_t>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      digit = static_cast<uint32_t>(c - 'a') + 26;
    } else if (c >= '0' && c <= '9') {
      digit = static_cast<uint32_t>(c - '0') + 52;
    } else if (c == '+' || c == '/') {
      digit = c == '+' ? 62 : 63;
    } else if (c == '=') {
      break;
    } else {
      fail(ErrorKind::Input, "{}: precompiled_charsmap is not base64", description);
    }
    bits = bits << 6 | digit;
    num_bits += 6;
    if (num_bits < 8) continue;
    num_bits -= 8;
    bytes += static_cast<char>(static_cast<unsigned char>(bits >> num_bits));
  }
  return bytes;
}

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

std::vector<Piece> pieces_of(const json& tokenizer, const std::string& description) {
  const ConfigReader model = ConfigReader(tokenizer, description)
                                 .get_object("model")
                                 .value_or(ConfigReader(json::object(), description));
  model.require<std::string>("type", "Unigram");
  const auto vocab = model.object().find("vocab");
  if (vocab == model.object().end() || !vocab->is_array() || vocab->size() > kMaxPieces) {
    fail(ErrorKind::Input, "{}: model.vocab is not a list of at most {} pieces", description,
         kMaxPieces);
  }
  std::vector<Piece> pieces;
  pieces.reserve(vocab->size());
  for (const json& entry : *vocab) {
    if (!entry.is_array() || entry.size() != 2 || !entry[0].is_string() || !entry[1].is_number()) {
      fail(ErrorKind::Input, "{}: entry {} of model.vocab is not [text, score]", description,
           pieces.size());
    }
    pieces.push_back({entry[0].get<std::string>(), entry[1].get<double>()});
  }
  return pieces;
}

std::string charsmap_of(const json& tokenizer, const std::string& description) {
  const auto normalizer = tokenizer.find("normalizer");
  if (normalizer == tokenizer.end() || !normalizer->is_object()) return "";
  json list = json::array({*normalizer});
  if (normalizer->value("type", "") == "Sequence")
    list = normalizer->value("normalizers", json::array());
  for (const json& entry : list) {
    if (!entry.is_object() || entry.value("type", json()) != "Precompiled") continue;
    const json table = entry.value("precompiled_charsmap", json());
    return table.is_string() ? decode_base64(table.get<std::string>(), description) : "";
  }
  return "";
}

// Collects added tokens in the order of their registration and gives ids to those that the
// vocabulary lacks.
class Registry {
 public:
  explicit Registry(const Unigram& vocabulary) : vocabulary_(vocabulary) {}

  void add(AddedToken token) {
    const auto is_same = [&](const AddedToken& other) { return other.text == token.text; };
    if (token.text.empty() || std::any_of(tokens.begin(), tokens.end(), is_same)) return;
    token.id = vocabulary_.find(token.text);
    if (token.id < 0) {
      token.id = vocabulary_.size();
      for (const AddedToken& other : tokens) token.id = std::max(token.id, other.id + 1);
    }
    tokens.push_back(std::move(token));
  }

  std::vector<AddedToken> tokens;

 private:
  const Unigram& vocabulary_;
};

json read_optional(const fs::path& path) {
  return fs::exists(path) ? read_json_file(path) : json::object();
}

// tokenizer_config.json with its predecessors' tokens, where it has none of its own, merged into
// it.
json merged_config(const fs::path& directory, const json& tokenizer) {
  json config = read_optional(directory / "tokenizer_config.json");
  if (!config.is_object())
    fail(ErrorKind::Input, "{}: is not a JSON object",
         (directory / "tokenizer_config.json").string());
  if (!config.contains("added_tokens_decoder")) {
    json decoder = json::object();
    const json special = read_optional(directory / "special_tokens_map.json");
    for (const auto& [name, value] : special.items()) config[name] = value;
    const json added = read_optional(directory / "added_tokens.json");
    for (const auto& [text, id] : added.items()) {
      if (id.is_number_integer()) {
        decoder[std::to_string(id.get<int64_t>())] = {{"content", text}};
      }
    }
    if (tokenizer.contains("added_tokens") && tokenizer["added_tokens"].is_array()) {
      for (const json& token : tokenizer["added_tokens"]) {
        const json id = token.is_object() ? token.value("id", json()) : json();
        if (id.is_number_integer()) decoder[std::to_string(id.get<int64_t>())] = token;
      }
    }
    config["added_tokens_decoder"] = decoder;
  }
  const bool has_extra =
      config.contains("extra_special_tokens") && !config["extra_special_tokens"].empty();
  if (config.contains("additional_special_tokens") && !has_extra) {
    config["extra_special_tokens"] = config["additional_special_tokens"];
  }
  return config;
}

std::map<int64_t, AddedToken> numbered_tokens(const json& decoder, const std::string& description) {
  std::map<int64_t, AddedToken> tokens;
  if (!decoder.is_object())
    fail(ErrorKind::Input, "{}: added_tokens_decoder is not an object", description);
  for (const auto& [id, value] : decoder.items()) {
    const bool is_number =
        !id.empty() && id.size() < 10 &&
        std::all_of(id.begin(), id.end(), [](char c) { return c >= '0' && c <= '9'; });
    if (!is_number)
      fail(ErrorKind::Input, "{}: added_tokens_decoder has the id \"{}\"", description, id);
    tokens.emplace(std::stoll(id), token_of(value, description));
  }
  return tokens;
}

void check_config(const ConfigReader& config) {
  config.require("split_special_tokens", false);
  config.require<std::string>("padding_side", "right");
  config.require<std::string>("truncation_side", "right");
  config.ignore({"add_bos_token",
                 "add_eos_token",
                 "add_prefix_space",
                 "added_tokens_decoder",
                 "additional_special_tokens",
                 "auto_map",
                 "backend",
                 "bos_token",
                 "chat_template",
                 "clean_up_tokenization_spaces",
                 "cls_token",
                 "device_map",
                 "eos_token",
                 "errors",
                 "extra_special_tokens",
                 "files_loaded",
                 "is_local",
                 "legacy",
                 "local_files_only",
                 "mask_token",
                 "max_length",
                 "model_input_names",
                 "model_max_length",
                 "name_or_path",
                 "pad_to_multiple_of",
                 "pad_token",
                 "pad_token_type_id",
                 "processor_class",
                 "sep_token",
                 "sp_model_kwargs",
                 "special_tokens_map_file",
                 "spaces_between_special_tokens",
                 "stride",
                 "tokenizer_class",
                 "tokenizer_file",
                 "truncation_strategy",
                 "unk_id",
                 "unk_token",
                 "use_fast",
                 "vocab_file"});
}

}  // namespace

TokenizerFiles TokenizerFiles::read(const fs::path& directory) {
  const fs::path json_path = directory / "tokenizer.json";
  const fs::path model_path = directory / "spiece.model";
  const bool has_json = fs::exists(json_path);
  if (!has_json && !fs::exists(model_path)) {
    fail(ErrorKind::NotFound,
         "{}: has neither tokenizer.json nor spiece.model; download the model again",
         directory.string());
  }

  TokenizerFiles files;
  files.description = (has_json ? json_path : model_path).string();
  const json tokenizer = has_json ? read_json_file(json_path) : json::object();
  const json config = merged_config(directory, tokenizer);
  const std::string config_description = (directory / "tokenizer_config.json").string();
  const ConfigReader reader(config, config_description);
  check_config(reader);
  const int64_t num_extra_ids = reader.get<int64_t>("extra_ids", 100);
  reader.check_all_read();
  if (num_extra_ids < 0 || num_extra_ids > kMaxExtraIds) {
    fail(ErrorKind::Input, "{}: extra_ids is {}, expected 0 to {}", config_description,
         num_extra_ids, kMaxExtraIds);
  }

  std::vector<AddedToken> own_tokens;  // of the vocabulary file
  if (has_json) {
    files.pieces = pieces_of(tokenizer, files.description);
    files.charsmap = charsmap_of(tokenizer, files.description);
  } else {
    SentencePieceModel model =
        parse_sentencepiece_model(read_file(model_path, kMaxSentencePieceBytes), files.description);
    files.charsmap = std::move(model.precompiled_charsmap);
    for (SentencePieceModel::Piece& piece : model.pieces) {
      using Type = SentencePieceModel::Type;
      if (piece.type == Type::Control || piece.type == Type::UserDefined)
        own_tokens.push_back({.text = piece.text});
      files.pieces.push_back({std::move(piece.text), piece.score});
    }
    for (int64_t i = num_extra_ids - 1; i >= 0; --i)
      files.pieces.push_back({fmt::format("<extra_id_{}>", i), 0.0});
  }
  if (files.pieces.size() <= size_t{kUnknownId}) {
    fail(ErrorKind::Input, "{}: has {} pieces, too few to hold the unknown token",
         files.description, files.pieces.size());
  }
  for (const Piece& piece : files.pieces) {
    if (!std::isfinite(piece.score))
      fail(ErrorKind::Input, "{}: has a piece without a score", files.description);
  }

  const Unigram vocabulary(files.pieces, kUnknownId);
  Registry registry(vocabulary);
  const std::map<int64_t, AddedToken> numbered =
      numbered_tokens(config["added_tokens_decoder"], config_description);
  for (const auto& [id, token] : numbered) registry.add(token);
  std::string end_token = "</s>";
  for (const char* name : kNamedTokens) {
    if (!config.contains(name) || config[name].is_null()) continue;
    AddedToken token = token_of(config[name], config_description);
    if (std::string_view(name) == "eos_token") end_token = token.text;
    registry.add(std::move(token));
  }
  for (const char* text : {"</s>", "<unk>", "<pad>"})
    registry.add({.text = text});  // the class's own defaults
  const json extra = config.value("extra_special_tokens", json());
  if (extra.is_array()) {
    for (const json& token : extra) registry.add(token_of(token, config_description));
  } else {
    const bool has_own_extra = std::any_of(
        own_tokens.begin(), own_tokens.end(),
        [](const AddedToken& token) { return token.text.find("<extra_id_") != std::string::npos; });
    for (AddedToken& token : own_tokens) registry.add(std::move(token));
    for (int64_t i = 0; i < num_extra_ids && !has_own_extra; ++i)
      registry.add({.text = fmt::format("<extra_id_{}>", i)});
  }
  files.added_tokens = std::move(registry.tokens);

  const auto end = std::find_if(files.added_tokens.begin(), files.added_tokens.end(),
                                [&](const AddedToken& token) { return token.text == end_token; });
  files.end_id = end != files.added_tokens.end() ? end->id : vocabulary.find(end_token);
  if (files.end_id < 0)
    fail(ErrorKind::Input, "{}: has no end token {}", files.description, end_token);
  return files;
}

}  // namespace sora
