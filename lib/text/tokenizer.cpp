// See Note [T5Tokenizer].
#include "lib/text/tokenizer.h"

#include <algorithm>
#include <optional>

#include "lib/core/error.h"
#include "lib/core/utf8.h"
#include "lib/text/added_tokens.h"
#include "lib/text/charsmap.h"
#include "lib/text/tokenizer_files.h"
#include "lib/text/unicode.h"
#include "lib/text/unigram.h"

namespace sora {
namespace {

constexpr std::string_view kWordStart = "\u2581";

std::vector<AddedToken> tokens_where(const std::vector<AddedToken>& tokens, bool normalized) {
  std::vector<AddedToken> chosen;
  std::copy_if(tokens.begin(), tokens.end(), std::back_inserter(chosen),
               [&](const AddedToken& token) { return token.normalized == normalized; });
  return chosen;
}

}  // namespace

struct Tokenizer::State {
  Unigram model;
  std::optional<Charsmap> charsmap;
  AddedTokens raw_tokens;
  AddedTokens normalized_tokens;
  int64_t end_id;
  int64_t vocabulary_size;

  std::string normalize(std::string_view text) const {
    return charsmap ? charsmap->normalize(text) : std::string(text);
  }

  // U+2581 begins each word and is never inside one.
  void encode_word(std::string_view word, std::vector<int64_t>& ids) const {
    const std::string marked =
        word.starts_with(kWordStart) ? std::string(word) : std::string(kWordStart).append(word);
    size_t start = 0;
    while (start < marked.size()) {
      const size_t end =
          std::min(marked.find(kWordStart, start + kWordStart.size()), marked.size());
      model.encode(std::string_view(marked).substr(start, end - start), ids);
      start = end;
    }
  }

  void encode_words(std::string_view text, std::vector<int64_t>& ids) const {
    size_t start = 0;
    size_t position = 0;
    while (position < text.size()) {
      const size_t here = position;
      if (!is_white_space(next_character(text, position))) continue;
      if (start < here) encode_word(text.substr(start, here - start), ids);
      start = position;
    }
    if (start < text.size()) encode_word(text.substr(start), ids);
  }
};

Tokenizer Tokenizer::open(const std::filesystem::path& path) {
  TokenizerFiles files = TokenizerFiles::read(path);
  std::optional<Charsmap> charsmap;
  if (!files.charsmap.empty()) charsmap.emplace(files.charsmap, files.description);

  int64_t vocabulary_size = static_cast<int64_t>(files.pieces.size());
  for (const AddedToken& token : files.added_tokens)
    vocabulary_size = std::max(vocabulary_size, token.id + 1);
  std::vector<AddedToken> normalized = tokens_where(files.added_tokens, true);
  for (AddedToken& token : normalized) {
    if (charsmap) token.text = charsmap->normalize(token.text);
  }
  std::erase_if(normalized, [](const AddedToken& token) { return token.text.empty(); });
  return Tokenizer(std::make_shared<const State>(
      State{Unigram(std::move(files.pieces), kUnknownId), std::move(charsmap),
            AddedTokens(tokens_where(files.added_tokens, false)),
            AddedTokens(std::move(normalized)), files.end_id, vocabulary_size}));
}

Tokenizer::Encoding Tokenizer::encode(std::string_view text, int64_t max_length) const {
  if (max_length < 1)
    fail(ErrorKind::Usage, "at most {} text tokens leave no room for the end token", max_length);
  if (!is_valid_utf8(text)) fail(ErrorKind::Usage, "the text is not valid UTF-8");
  Encoding encoding;
  std::vector<int64_t>& ids = encoding.ids;
  state_->raw_tokens.split(text, [&](std::string_view raw, int64_t raw_id) {
    if (raw_id >= 0) {
      ids.push_back(raw_id);
      return;
    }
    state_->normalized_tokens.split(state_->normalize(raw),
                                    [&](std::string_view normalized, int64_t id) {
                                      if (id >= 0) {
                                        ids.push_back(id);
                                      } else {
                                        state_->encode_words(normalized, ids);
                                      }
                                    });
  });
  const auto limit = static_cast<size_t>(max_length) - 1;
  if (ids.size() > limit) {
    encoding.num_dropped = static_cast<int64_t>(ids.size() - limit);
    ids.resize(limit);
  }
  ids.push_back(state_->end_id);
  return encoding;
}

int64_t Tokenizer::vocabulary_size() const { return state_->vocabulary_size; }

}  // namespace sora
