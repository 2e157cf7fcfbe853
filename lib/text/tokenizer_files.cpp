#include "lib/text/tokenizer_files.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <type_traits>

#include "lib/core/config_reader.h"
#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/tensor_io/checkpoint.h"
#include "lib/tensor_io/gguf.h"
#include "lib/tensor_io/model_part.h"
#include "lib/text/base64.h"
#include "lib/text/sentencepiece_model.h"
#include "lib/text/tokenizer_config.h"

namespace sora {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr int64_t kMaxSentencePieceBytes = 16 << 20;

// What spiece.model or tokenizer.json say.
struct Vocabulary {
  std::vector<Piece> pieces;
  std::string charsmap;
  std::vector<AddedToken> own_tokens;  // of spiece.model, where it is the only file
};

std::vector<Piece> pieces_of(const json& tokenizer, const std::string& description) {
  const auto model = tokenizer.find("model");
  const ConfigReader reader(model == tokenizer.end() ? json::object() : *model, description);
  reader.require<std::string>("type", "Unigram");
  const auto vocab = reader.object().find("vocab");
  if (vocab == reader.object().end() || !vocab->is_array() ||
      vocab->size() > SentencePieceModel::kMaxPieces) {
    fail(ErrorKind::Input, "{}: model.vocab is not a list of at most {} pieces", description,
         SentencePieceModel::kMaxPieces);
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

// The field as an element, a null where there is none.
const json& at_or_null(const json& value, const char* field) {
  static const json kNull;
  if (!value.is_object()) return kNull;
  const auto found = value.find(field);
  return found == value.end() ? kNull : *found;
}

// Of the normaliser itself, or of the first such in a sequence of them.
std::string charsmap_of(const json& tokenizer, const std::string& description) {
  const json& normalizer = at_or_null(tokenizer, "normalizer");
  const json& sequence = at_or_null(normalizer, "normalizers");
  const json* precompiled = at_or_null(normalizer, "type") == "Precompiled" ? &normalizer : nullptr;
  for (size_t i = 0; sequence.is_array() && i < sequence.size() && !precompiled; ++i) {
    if (at_or_null(sequence[i], "type") == "Precompiled") precompiled = &sequence[i];
  }
  if (!precompiled) return "";
  const json& table = at_or_null(*precompiled, "precompiled_charsmap");
  if (table.is_null()) return "";
  const auto bytes =
      table.is_string() ? decode_base64(table.get_ref<const std::string&>()) : std::nullopt;
  if (!bytes) fail(ErrorKind::Input, "{}: precompiled_charsmap is not base64", description);
  return *bytes;
}

Vocabulary sentencepiece_vocabulary(SentencePieceModel model, int64_t num_extra_ids) {
  using Type = SentencePieceModel::Type;
  Vocabulary vocabulary;
  vocabulary.charsmap = std::move(model.precompiled_charsmap);
  for (SentencePieceModel::Piece& piece : model.pieces) {
    const bool is_token = piece.type == Type::Control || piece.type == Type::UserDefined;
    if (is_token) vocabulary.own_tokens.push_back({.text = piece.text});
    vocabulary.pieces.push_back({std::move(piece.text), piece.score});
  }
  for (int64_t i = num_extra_ids - 1; i >= 0; --i) {
    vocabulary.pieces.push_back({fmt::format("<extra_id_{}>", i), 0.0});
  }
  return vocabulary;
}

Vocabulary read_sentencepiece(const fs::path& path, int64_t num_extra_ids) {
  return sentencepiece_vocabulary(
      parse_sentencepiece_model(read_file(path, kMaxSentencePieceBytes), path.string()),
      num_extra_ids);
}

// ComfyUI puts the bytes of spiece.model into the encoder's file, as a tensor of bytes.
std::optional<std::string> model_tensor(const Checkpoint& checkpoint) {
  const auto name = find_tokenizer_tensor(checkpoint);
  if (!name) return std::nullopt;
  const at::Tensor bytes = checkpoint.get(*name);
  if (bytes.scalar_type() != at::kByte || bytes.numel() > kMaxSentencePieceBytes) {
    fail(ErrorKind::Input, "{}: {} is no tokenizer: expected at most {} bytes in U8",
         checkpoint.description(), *name, kMaxSentencePieceBytes);
  }
  const at::Tensor flat = bytes.contiguous();
  return std::string(static_cast<const char*>(flat.const_data_ptr()),
                     static_cast<size_t>(flat.numel()));
}

// llama.cpp puts vocabulary and normalisation table into the metadata; the types are
// SentencePiece's.
std::optional<Vocabulary> gguf_vocabulary(const fs::path& path) {
  const auto file = GgufFile::open(path);
  const auto value = [&]<typename T>(const char* key, std::type_identity<T>) -> const T* {
    const auto found = file->values().find(std::string("tokenizer.ggml.") + key);
    return found == file->values().end() ? nullptr : std::get_if<T>(&found->second);
  };
  const auto* tokens = value("tokens", std::type_identity<std::vector<std::string>>());
  if (!tokens) return std::nullopt;
  const auto* scores = value("scores", std::type_identity<std::vector<double>>());
  const auto* types = value("token_type", std::type_identity<std::vector<int64_t>>());
  if (!scores || scores->size() != tokens->size() ||
      tokens->size() > SentencePieceModel::kMaxPieces ||
      (types && types->size() != tokens->size())) {
    fail(ErrorKind::Input, "{}: its tokenizer has {} tokens, but not as many scores and types",
         path.string(), tokens->size());
  }
  SentencePieceModel model;
  for (size_t i = 0; i < tokens->size(); ++i) {
    const int64_t type = types ? (*types)[i] : 1;
    const bool known = type >= 1 && type <= 6;
    model.pieces.push_back(
        {(*tokens)[i], static_cast<float>((*scores)[i]),
         known ? static_cast<SentencePieceModel::Type>(type) : SentencePieceModel::Type::Normal});
  }
  if (const auto* table =
          value("precompiled_charsmap", std::type_identity<std::vector<int64_t>>())) {
    for (const int64_t byte : *table) model.precompiled_charsmap.push_back(static_cast<char>(byte));
  }
  return sentencepiece_vocabulary(std::move(model), 0);
}

// A tokenizer that is one file brings no list of added tokens, so it has none but its own.
Vocabulary read_single_file(const fs::path& path) {
  if (path.extension() == ".model") return read_sentencepiece(path, 0);
  const Checkpoint checkpoint = Checkpoint::open(path);
  if (std::dynamic_pointer_cast<const GgufFile>(checkpoint.files().front())) {
    if (auto vocabulary = gguf_vocabulary(path)) return *std::move(vocabulary);
  }
  if (const auto bytes = model_tensor(checkpoint)) {
    return sentencepiece_vocabulary(parse_sentencepiece_model(*bytes, path.string()), 0);
  }
  fail(ErrorKind::NotFound,
       "{}: holds no tokenizer; give one with --tokenizer, a spiece.model or a directory with "
       "tokenizer.json",
       path.string());
}

void check_pieces(const std::vector<Piece>& pieces, const std::string& description) {
  if (pieces.size() <= size_t{kUnknownId}) {
    fail(ErrorKind::Input, "{}: has {} pieces, too few to hold the unknown token", description,
         pieces.size());
  }
  for (const Piece& piece : pieces) {
    if (!std::isfinite(piece.score))
      fail(ErrorKind::Input, "{}: has a piece without a score", description);
    if (piece.text.size() > SentencePieceModel::kMaxPieceBytes) {
      fail(ErrorKind::Input, "{}: has a piece of {} bytes, at most {} are read", description,
           piece.text.size(), SentencePieceModel::kMaxPieceBytes);
    }
  }
}

// Adds tokens in order, and gives ids to those that the vocabulary lacks.
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

std::vector<AddedToken> extra_tokens(const TokenizerConfig& config, const Vocabulary& vocabulary) {
  if (config.extra) return *config.extra;
  std::vector<AddedToken> tokens = vocabulary.own_tokens;
  const bool has_extra_ids = std::any_of(tokens.begin(), tokens.end(), [](const AddedToken& token) {
    return token.text.find("<extra_id_") != std::string::npos;
  });
  for (int64_t i = 0; i < config.num_extra_ids && !has_extra_ids; ++i) {
    tokens.push_back({.text = fmt::format("<extra_id_{}>", i)});
  }
  return tokens;
}

}  // namespace

TokenizerFiles TokenizerFiles::read(const fs::path& path) {
  const bool is_file = fs::is_regular_file(path);
  const fs::path directory = is_file ? fs::path() : path;
  const fs::path json_path = directory / "tokenizer.json";
  const fs::path model_path = directory / "spiece.model";
  const bool has_json = !is_file && fs::exists(json_path);
  if (!is_file && !has_json && !fs::exists(model_path)) {
    fail(ErrorKind::NotFound,
         "{}: has neither tokenizer.json nor spiece.model; download the model again",
         directory.string());
  }

  TokenizerFiles files;
  files.description = (is_file ? path : has_json ? json_path : model_path).string();
  const json tokenizer = has_json ? read_json_file(json_path) : json::object();
  const TokenizerConfig config =
      is_file ? TokenizerConfig::of_single_file() : TokenizerConfig::read(directory, tokenizer);
  Vocabulary vocabulary = is_file    ? read_single_file(path)
                          : has_json ? Vocabulary{pieces_of(tokenizer, files.description),
                                                  charsmap_of(tokenizer, files.description),
                                                  {}}
                                     : read_sentencepiece(model_path, config.num_extra_ids);
  check_pieces(vocabulary.pieces, files.description);

  const Unigram model(vocabulary.pieces, kUnknownId);
  Registry registry(model);
  for (const AddedToken& token : config.tokens) registry.add(token);
  for (const AddedToken& token : extra_tokens(config, vocabulary)) registry.add(token);
  files.added_tokens = std::move(registry.tokens);
  for (const AddedToken& token : files.added_tokens) {
    if (token.text == config.end_token) files.end_id = token.id;
  }
  if (files.end_id < 0) fail(ErrorKind::Input, "{}: has no end token", files.description);
  files.pieces = std::move(vocabulary.pieces);
  files.charsmap = std::move(vocabulary.charsmap);
  return files;
}

}  // namespace sora
