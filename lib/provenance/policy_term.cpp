// Letters are compared without the gaps between words, so that spacing hides nothing; a match has
// to begin and end where words do, so that a term is not found inside a longer word.
#include "lib/provenance/policy_term.h"

#include <re2/re2.h>

#include <algorithm>

#include "lib/core/error.h"

namespace sora {
namespace {

constexpr size_t kLettersPerMask = 3;  // of a term's letters one in three may be hidden

// Where `letters` end in the form when they begin at `at`; `at` where they do not.
size_t end_of_match(const TextForm& form, size_t at, const std::u32string& letters) {
  size_t masked = 0;
  size_t end = at;
  for (size_t i = 0; i < letters.size(); ++end) {
    if (end == form.letters.size()) return at;
    const char32_t c = form.letters[end];
    const char32_t wanted = letters[i++];
    if (c == wanted) {
      while (form.is_stretched[end] && i < letters.size() && letters[i] == wanted) ++i;
    } else if (c != TextForm::kAnyLetter || ++masked * kLettersPerMask > letters.size()) {
      return at;
    }
  }
  return end;
}

}  // namespace

PolicyTerm::PolicyTerm(const std::string& entry) {
  constexpr std::string_view kExpression = "re:";
  if (entry.rfind(kExpression, 0) == 0) {
    re2::RE2::Options options;
    options.set_log_errors(false);
    options.set_max_mem(8 << 20);
    expression_ = std::make_shared<re2::RE2>(entry.substr(kExpression.size()), options);
    if (!expression_->ok()) {
      fail(ErrorKind::Input, "the expression '{}' is not one that RE2 takes: {}", entry,
           expression_->error());
    }
    return;
  }
  is_stem_ = entry.size() > 1 && entry.back() == '*';
  letters_ = read_forms(is_stem_ ? entry.substr(0, entry.size() - 1) : entry).front().letters;
  if (letters_.empty()) fail(ErrorKind::Input, "the term '{}' has no letters", entry);
}

PolicyTerm::Span PolicyTerm::find(const TextForm& form, size_t from) const {
  if (expression_) {
    std::vector<size_t> letter_at;
    const std::string words = form.words(&letter_at);
    const auto begin = static_cast<size_t>(
        std::lower_bound(letter_at.begin(), letter_at.end(), from) - letter_at.begin());
    re2::StringPiece match;
    if (!expression_->Match(words, begin, words.size(), re2::RE2::UNANCHORED, &match, 1) ||
        match.empty())
      return {};
    const auto start = static_cast<size_t>(match.data() - words.data());
    return {letter_at[start], letter_at[start + match.size() - 1] + 1};
  }
  for (size_t at = from; at < form.letters.size(); ++at) {
    if (!form.starts_token[at]) continue;
    const size_t end = end_of_match(form, at, letters_);
    if (end > at && (is_stem_ || form.starts_token[end])) return {at, end};
  }
  return {};
}

bool PolicyTerm::matches(const TextForm& form) const { return find(form, 0).is_found(); }

void PolicyTerm::take_out(TextForm& form) const {
  for (Span span = find(form, 0); span.is_found(); span = find(form, span.stop)) {
    for (size_t i = span.start; i < std::min(span.stop, form.letters.size()); ++i)
      form.letters[i] = TextForm::kBarrier;
  }
}

}  // namespace sora
