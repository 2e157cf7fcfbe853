#include "lib/text/added_tokens.h"

#include <unicode/uchar.h>

#include <algorithm>

#include "lib/core/utf8.h"
#include "lib/text/unicode.h"

namespace sora {
namespace {

// \w of Rust's regular expressions.
bool is_word_character(char32_t character) {
  const auto c = static_cast<UChar32>(character);
  return u_isUAlphabetic(c) || u_charType(c) == U_DECIMAL_DIGIT_NUMBER ||
         u_charType(c) == U_CONNECTOR_PUNCTUATION || (U_GET_GC_MASK(c) & U_GC_M_MASK) != 0 ||
         u_hasBinaryProperty(c, UCHAR_JOIN_CONTROL);
}

size_t start_of_last_character(std::string_view text) {
  size_t start = text.size() - 1;
  while (start > 0 && is_utf8_continuation(text[start])) --start;
  return start;
}

bool ends_with_word(std::string_view text) {
  if (text.empty()) return false;
  size_t position = start_of_last_character(text);
  return is_word_character(next_character(text, position));
}

bool starts_with_word(std::string_view text) {
  size_t position = 0;
  return !text.empty() && is_word_character(next_character(text, position));
}

size_t without_space_at_end(std::string_view text) {
  while (!text.empty()) {
    const size_t start = start_of_last_character(text);
    size_t position = start;
    if (!is_white_space(next_character(text, position))) break;
    text = text.substr(0, start);
  }
  return text.size();
}

size_t leading_space(std::string_view text) {
  size_t end = 0;
  while (end < text.size()) {
    size_t next = end;
    if (!is_white_space(next_character(text, next))) break;
    end = next;
  }
  return end;
}

}  // namespace

AddedTokens::AddedTokens(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  std::stable_sort(tokens_.begin(), tokens_.end(), [](const AddedToken& a, const AddedToken& b) {
    return a.text.size() > b.text.size();
  });
  for (size_t i = 0; i < tokens_.size(); ++i) {
    by_first_byte_[static_cast<unsigned char>(tokens_[i].text[0])].push_back(i);
  }
}

const AddedToken* AddedTokens::match_at(std::string_view text, size_t position) const {
  for (const size_t i : by_first_byte_[static_cast<unsigned char>(text[position])]) {
    if (text.substr(position).starts_with(tokens_[i].text)) return &tokens_[i];
  }
  return nullptr;
}

void AddedTokens::split(std::string_view text,
                        const std::function<void(std::string_view, int64_t)>& visit) const {
  size_t done = 0;
  for (size_t position = 0; position < text.size();) {
    const AddedToken* token = match_at(text, position);
    if (!token) {
      ++position;
      continue;
    }
    size_t start = position;
    size_t end = position += token->text.size();
    if (token->single_word &&
        (ends_with_word(text.substr(0, start)) || starts_with_word(text.substr(end))))
      continue;
    if (token->strip_left) start = std::max(without_space_at_end(text.substr(0, start)), done);
    if (token->strip_right) end += leading_space(text.substr(end));
    if (done < start) visit(text.substr(done, start - done), -1);
    visit(text.substr(start, end - start), token->id);
    done = end;
    position = std::max(position, done);
  }
  if (done < text.size()) visit(text.substr(done), -1);
}

}  // namespace sora
