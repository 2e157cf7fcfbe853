// Works on UTF-8 bytes: ASCII letters make words, bytes from 0x80 on make runs of other scripts.
#include "lib/pipelines/vocabulary.h"

#include <algorithm>
#include <cctype>
#include <set>
#include <utility>

#include "lib/core/ascii.h"
#include "lib/core/utf8.h"

namespace sora {
namespace {

bool is_ascii_word(unsigned char c) { return c < 0x80 && (std::isalpha(c) || c == '\''); }

// CJK and fullwidth punctuation: U+3000-303F and U+FF00-FF20, which separate like spaces.
bool is_wide_punctuation(std::string_view character) {
  if (character.size() != 3) return false;
  const auto byte = [&](int i) { return static_cast<unsigned char>(character[i]); };
  const int code = (byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
  return (code >= 0x3000 && code <= 0x303F) || (code >= 0xFF00 && code <= 0xFF20);
}

size_t character_length(std::string_view text, size_t at) {
  size_t length = 1;
  while (at + length < text.size() && is_utf8_continuation(text[at + length])) ++length;
  return length;
}

class Collector {
 public:
  void add(const std::string& word) {
    if (!word.empty() && seen_.insert(word).second) words_.push_back(word);
  }
  std::vector<std::string> take() { return std::move(words_); }

 private:
  std::set<std::string> seen_;
  std::vector<std::string> words_;
};

}  // namespace

std::vector<std::string> unknown_words(std::string_view prompt,
                                       const std::vector<std::string>& vocabulary) {
  if (vocabulary.empty()) return {};
  const std::set<std::string, std::less<>> known(vocabulary.begin(), vocabulary.end());
  size_t longest = 0;
  for (const std::string& word : vocabulary) longest = std::max(longest, word.size());

  Collector unknown;
  std::string leftover;  // of a run without spaces
  size_t at = 0;
  while (at < prompt.size()) {
    const auto c = static_cast<unsigned char>(prompt[at]);
    if (c < 0x80) {
      unknown.add(std::exchange(leftover, {}));
      std::string word;
      for (; at < prompt.size() && is_ascii_word(static_cast<unsigned char>(prompt[at])); ++at) {
        word += ascii_lower(prompt[at]);
      }
      if (word.empty()) {
        ++at;
      } else if (!known.count(word)) {
        unknown.add(word);
      }
      continue;
    }
    size_t match = std::min(longest, prompt.size() - at);
    while (match > 0 && !known.count(prompt.substr(at, match))) --match;
    if (match > 0) {
      unknown.add(std::exchange(leftover, {}));
      at += match;
      continue;
    }
    const std::string_view character = prompt.substr(at, character_length(prompt, at));
    if (is_wide_punctuation(character)) {
      unknown.add(std::exchange(leftover, {}));
    } else {
      leftover += character;
    }
    at += character.size();
  }
  unknown.add(leftover);
  return unknown.take();
}

}  // namespace sora
