// What the files of a tokenizer directory say, brought into one form: tokenizer.json or
// spiece.model gives the vocabulary and the normalisation table, tokenizer_config.json and its
// older companions the added tokens.
//
// Note [T5Tokenizer]. The pipelines' model_index.json names T5TokenizerFast, which in transformers
// 5 is the class T5Tokenizer. It takes vocabulary, table and added tokens from the files and
// everything else from itself: the unknown id is 2, words are split at white space and at U+2581,
// which also begins each of them, the end token closes the list, and bytes are never a fallback.
// What tokenizer.json says about these is not read.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "lib/text/added_tokens.h"
#include "lib/text/unigram.h"

namespace sora {

struct TokenizerFiles {
  std::string description;  // path of the file with the vocabulary
  std::vector<Piece> pieces;
  std::string charsmap;  // empty where text is not normalised
  std::vector<AddedToken> added_tokens;
  int64_t end_id = -1;

  // A tokenizer directory, a spiece.model, or a text encoder's file that holds one. Throws
  // Error(NotFound) where there is no vocabulary, Error(Input) naming the field that is wrong or
  // unknown.
  static TokenizerFiles read(const std::filesystem::path& path);
};

inline constexpr int64_t kUnknownId = 2;

}  // namespace sora
