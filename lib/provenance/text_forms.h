// A text as a person reads it, for matching against lists of terms: what is written in look-alike
// letters, with invisible characters between, spaced out, doubled or in digits is turned back into
// plain letters.
//
// Unicode's own tables decide what looks like what: NFKD, the confusables of UTS #39, character
// names, and ICU's traditional to simplified Chinese.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sora {

// One reading of a text: its letters and digits in lower case, without what stands between them.
struct TextForm {
  std::u32string letters;  // kBarrier where something was taken out, kAnyLetter for a masked letter
  std::vector<uint8_t> is_stretched;  // stands for a run of any length of its letter
  std::vector<uint8_t> starts_token;  // a word, or each Chinese character, begins here; one longer
                                      // than letters, 1 at the end

  static constexpr char32_t kBarrier = 0xFFFF;
  static constexpr char32_t kAnyLetter = U'*';

  // The words in UTF-8 with one space between, Chinese without, for regular expressions.
  // `letter_at` gets, for each byte and for the end, the index of the letter it belongs to or
  // stands before.
  std::string words(std::vector<size_t>* letter_at = nullptr) const;
  bool operator==(const TextForm&) const = default;
};

// The plain reading first, then those that undo digits for letters, repeated letters, masked
// letters and reversal, where they differ. Invalid UTF-8 reads as a gap.
std::vector<TextForm> read_forms(std::string_view text);

}  // namespace sora
