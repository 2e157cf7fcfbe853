#include "lib/text/gguf_tokenizer.h"

#include <utility>

#include "lib/text/sentencepiece_model.h"

namespace sora {

std::map<std::string, GgufMetadata> gguf_tokenizer(const TokenizerFiles& tokenizer) {
  using Type = SentencePieceModel::Type;
  std::vector<std::string> texts;
  std::vector<float> scores;
  for (const Piece& piece : tokenizer.pieces) {
    texts.push_back(piece.text);
    scores.push_back(static_cast<float>(piece.score));
  }
  std::vector<int32_t> types(texts.size(), static_cast<int32_t>(Type::Normal));
  for (const AddedToken& token : tokenizer.added_tokens) {
    const auto id = static_cast<size_t>(token.id);
    if (id >= texts.size()) {
      texts.resize(id + 1);
      scores.resize(id + 1);
      types.resize(id + 1, static_cast<int32_t>(Type::Unused));
    }
    const bool is_own = token.id <= kUnknownId;
    texts[id] = token.text;
    types[id] = static_cast<int32_t>(is_own ? Type::Control : Type::UserDefined);
  }
  types[kUnknownId] = static_cast<int32_t>(Type::Unknown);

  std::map<std::string, GgufMetadata> metadata = {
      {"tokenizer.ggml.model", std::string("t5")},
      {"tokenizer.ggml.tokens", std::move(texts)},
      {"tokenizer.ggml.scores", std::move(scores)},
      {"tokenizer.ggml.token_type", std::move(types)},
      {"tokenizer.ggml.eos_token_id", static_cast<uint32_t>(tokenizer.end_id)},
      {"tokenizer.ggml.unknown_token_id", static_cast<uint32_t>(kUnknownId)},
  };
  if (!tokenizer.charsmap.empty()) {
    metadata["tokenizer.ggml.precompiled_charsmap"] =
        std::vector<uint8_t>(tokenizer.charsmap.begin(), tokenizer.charsmap.end());
  }
  return metadata;
}

}  // namespace sora
