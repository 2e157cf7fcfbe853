#include "lib/text/charsmap.h"

#include <unicode/brkiter.h>
#include <unicode/utext.h>

#include <cstring>
#include <memory>

#include "lib/core/error.h"
#include "lib/core/utf8.h"
#include "lib/text/unicode.h"

namespace sora {
namespace {

// One unit of a Darts-clone trie.
struct Unit {
  uint32_t bits;

  bool has_leaf() const { return (bits >> 8 & 1) != 0; }
  uint32_t value() const { return bits & 0x7FFFFFFFu; }
  uint32_t label() const { return bits & 0x800000FFu; }
  uint32_t offset() const { return (bits >> 10) << ((bits & 0x200u) >> 6); }
};

// Byte offsets between the grapheme clusters of `text`, the end included.
std::vector<size_t> grapheme_ends(std::string_view text) {
  UErrorCode status = U_ZERO_ERROR;
  const std::unique_ptr<icu::BreakIterator> breaks(
      icu::BreakIterator::createCharacterInstance(icu::Locale::getRoot(), status));
  UText source = UTEXT_INITIALIZER;
  utext_openUTF8(&source, text.data(), static_cast<int64_t>(text.size()), &status);
  if (U_FAILURE(status))
    fail(ErrorKind::Internal, "ICU cannot find characters: {}", u_errorName(status));
  breaks->setText(&source, status);
  std::vector<size_t> ends;
  breaks->first();
  for (int32_t end = breaks->next(); end != icu::BreakIterator::DONE; end = breaks->next()) {
    ends.push_back(static_cast<size_t>(end));
  }
  utext_close(&source);
  if (U_FAILURE(status))
    fail(ErrorKind::Internal, "ICU cannot find characters: {}", u_errorName(status));
  return ends;
}

}  // namespace

Charsmap::Charsmap(std::string_view bytes, const std::string& description)
    : description_(description) {
  uint32_t trie_size = 0;
  if (bytes.size() >= sizeof trie_size) std::memcpy(&trie_size, bytes.data(), sizeof trie_size);
  if (trie_size == 0 || trie_size % sizeof(uint32_t) != 0 ||
      trie_size > bytes.size() - sizeof trie_size) {
    fail(ErrorKind::Input, "{}: precompiled_charsmap of {} bytes claims a trie of {}", description,
         bytes.size(), trie_size);
  }
  trie_.resize(trie_size / sizeof(uint32_t));
  std::memcpy(trie_.data(), bytes.data() + sizeof trie_size, trie_size);
  replacements_ = bytes.substr(sizeof trie_size + trie_size);
  if (!is_valid_utf8(replacements_)) {
    fail(ErrorKind::Input, "{}: precompiled_charsmap has replacements that are not UTF-8",
         description);
  }
}

// The shortest key that `chunk` begins with decides, although it need not be all of the chunk.
std::optional<std::string_view> Charsmap::replacement(std::string_view chunk) const {
  const auto unit_at = [&](size_t position) {
    if (position >= trie_.size())
      fail(ErrorKind::Input, "{}: precompiled_charsmap is damaged", description_);
    return Unit{trie_[position]};
  };
  size_t position = unit_at(0).offset();
  for (const char c : chunk) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte == 0) return std::nullopt;
    position ^= byte;
    const Unit unit = unit_at(position);
    if (unit.label() != byte) return std::nullopt;
    position ^= unit.offset();
    if (!unit.has_leaf()) continue;
    const size_t start = unit_at(position).value();
    const bool inside = start < replacements_.size();
    if (!inside || is_utf8_continuation(replacements_[start])) {
      fail(ErrorKind::Input, "{}: precompiled_charsmap is damaged", description_);
    }
    const std::string_view rest = std::string_view(replacements_).substr(start);
    return rest.substr(0, rest.find('\0'));
  }
  return std::nullopt;
}

std::string Charsmap::normalize(std::string_view text) const {
  constexpr size_t kMaxWholeBytes = 5;
  std::string result;
  size_t start = 0;
  for (const size_t end : grapheme_ends(text)) {
    const std::string_view grapheme = text.substr(start, end - start);
    start = end;
    if (grapheme.size() <= kMaxWholeBytes) {
      if (const auto whole = replacement(grapheme)) {
        result += *whole;
        continue;
      }
    }
    for (size_t i = 0; i < grapheme.size(); i += utf8_length(grapheme[i])) {
      const std::string_view character = grapheme.substr(i, utf8_length(grapheme[i]));
      result += replacement(character).value_or(character);
    }
  }
  return result;
}

}  // namespace sora
