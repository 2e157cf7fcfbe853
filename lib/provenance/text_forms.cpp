#include "lib/provenance/text_forms.h"

#include <unicode/normalizer2.h>
#include <unicode/translit.h>
#include <unicode/uchar.h>
#include <unicode/unistr.h>
#include <unicode/uscript.h>
#include <unicode/uspoof.h>

#include <algorithm>
#include <memory>
#include <unordered_map>

#include "lib/core/error.h"

namespace sora {
namespace {

void check_icu(UErrorCode status, const char* what) {
  if (U_FAILURE(status)) fail(ErrorKind::Internal, "ICU cannot {}: {}", what, u_errorName(status));
}

bool is_ascii_letter(char32_t c) { return (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z'); }
bool is_word_character(char32_t c) {
  return u_isalnum(static_cast<UChar32>(c)) || c == TextForm::kAnyLetter;
}

bool is_east_asian(char32_t c) {
  UErrorCode status = U_ZERO_ERROR;
  const UScriptCode script = uscript_getScript(static_cast<UChar32>(c), &status);
  return script == USCRIPT_HAN || script == USCRIPT_HIRAGANA || script == USCRIPT_KATAKANA ||
         script == USCRIPT_HANGUL;
}

// "LATIN LETTER SMALL CAPITAL H", "NEGATIVE SQUARED LATIN CAPITAL LETTER H", "LATIN SMALL LETTER
// TURNED H WITH HOOK", "REGIONAL INDICATOR SYMBOL LETTER H": h. Zero for a name that is no single
// Latin letter.
char32_t letter_by_name(char32_t c) {
  char buffer[128];
  UErrorCode status = U_ZERO_ERROR;
  u_charName(static_cast<UChar32>(c), U_UNICODE_CHAR_NAME, buffer, sizeof buffer, &status);
  if (U_FAILURE(status)) return 0;
  const std::string_view name = buffer;
  if (name.find("LATIN ") == name.npos && name.find("REGIONAL INDICATOR") == name.npos) return 0;
  size_t at = name.find("LETTER ");
  if (at == name.npos) return 0;
  for (at += 7; at < name.size();) {
    const size_t end = std::min(name.find(' ', at), name.size());
    const std::string_view word = name.substr(at, end - at);
    if (word.size() == 1) {
      const bool ends = end == name.size() || name.substr(end, 6) == " WITH ";
      return ends ? static_cast<char32_t>(u_tolower(word[0])) : 0;
    }
    constexpr std::string_view kShapes[] = {"SMALL",    "CAPITAL",   "TURNED",  "REVERSED", "OPEN",
                                            "SIDEWAYS", "STRETCHED", "DOTLESS", "INSULAR"};
    if (std::find(std::begin(kShapes), std::end(kShapes), word) == std::end(kShapes)) return 0;
    at = end + 1;
  }
  return 0;
}

struct LookAlike {
  char32_t letter;
  char32_t latin;
};

// What people write for Latin letters and UTS #39 does not list, or lists for another one.
constexpr LookAlike kMoreLookAlikes[] = {
    {U'є', U'e'}, {U'э', U'e'}, {U'п', U'n'}, {U'л', U'n'}, {U'б', U'b'}, {U'ь', U'b'},
    {U'ъ', U'b'}, {U'ш', U'w'}, {U'щ', U'w'}, {U'ω', U'w'}, {U'д', U'd'}, {U'ђ', U'h'},
    {U'ч', U'y'}, {U'ф', U'o'}, {U'θ', U'o'}, {U'π', U'n'}, {U'μ', U'u'}, {U'λ', U'a'},
    {U'σ', U'o'}, {U'ς', U's'}, {U'γ', U'y'}, {U'δ', U'd'}, {U'ц', U'u'}, {U'ћ', U'h'}};

// Letters that look like Latin ones, as those. One table for the whole program, filled as
// characters come.
class LookAlikes {
 public:
  LookAlikes() {
    UErrorCode status = U_ZERO_ERROR;
    checker_.reset(uspoof_open(&status));
    nfkd_ = icu::Normalizer2::getNFKDInstance(status);
    check_icu(status, "open its table of look-alikes");
  }

  // Lower case; empty for what carries no letter.
  const std::u32string& plain(char32_t c) {
    const auto [entry, is_new] = known_.try_emplace(c);
    if (is_new) entry->second = find(c);
    return entry->second;
  }

  const icu::Normalizer2& nfkd() const { return *nfkd_; }

 private:
  struct Close {
    void operator()(USpoofChecker* checker) const { uspoof_close(checker); }
  };

  std::u32string find(char32_t c) const {
    const auto code = static_cast<UChar32>(c);
    if (c < 0x80) return {static_cast<char32_t>(u_tolower(code))};
    if (is_east_asian(c)) return {c};
    if (const int32_t digit = u_charDigitValue(code); digit >= 0)
      return {static_cast<char32_t>(U'0' + digit)};
    for (const LookAlike& row : kMoreLookAlikes) {
      if (row.letter == static_cast<char32_t>(u_tolower(code))) return {row.latin};
    }
    const char32_t cases[] = {static_cast<char32_t>(u_tolower(code)), c,
                              static_cast<char32_t>(u_toupper(code))};
    for (const bool by_name : {false, true}) {
      for (const char32_t candidate : cases) {
        const std::u32string latin = latin_of(candidate, by_name);
        if (!latin.empty()) return latin;
      }
    }
    return {static_cast<char32_t>(u_foldCase(code, U_FOLD_CASE_DEFAULT))};
  }

  // The confusables of UTS #39, letters only; `by_name` also takes what is called a Latin letter.
  std::u32string latin_of(char32_t c, bool by_name) const {
    if (by_name) {
      if (const char32_t letter = letter_by_name(c)) return {letter};
    }
    UErrorCode status = U_ZERO_ERROR;
    icu::UnicodeString skeleton;
    uspoof_getSkeletonUnicodeString(checker_.get(), 0, icu::UnicodeString(static_cast<UChar32>(c)),
                                    skeleton, &status);
    skeleton = nfkd_->normalize(skeleton, status);
    check_icu(status, "compare look-alikes");
    std::u32string letters;
    for (int32_t i = 0; i < skeleton.length(); i = skeleton.moveIndex32(i, 1)) {
      const auto part = static_cast<char32_t>(skeleton.char32At(i));
      if (u_getCombiningClass(static_cast<UChar32>(part)) != 0) continue;
      const char32_t letter = is_ascii_letter(part) ? static_cast<char32_t>(u_tolower(part))
                              : by_name             ? letter_by_name(part)
                                                    : 0;
      if (letter == 0) return {};
      letters += letter;
    }
    return letters;
  }

  std::unique_ptr<USpoofChecker, Close> checker_;
  const icu::Normalizer2* nfkd_ = nullptr;
  std::unordered_map<char32_t, std::u32string> known_;
};

// Characters that are not seen: joiners, direction marks, variation selectors, tags, and marks over
// letters.
bool is_invisible(char32_t c) {
  const auto code = static_cast<UChar32>(c);
  if (u_hasBinaryProperty(code, UCHAR_DEFAULT_IGNORABLE_CODE_POINT)) return true;
  const int8_t type = u_charType(code);
  return type == U_NON_SPACING_MARK || type == U_ENCLOSING_MARK || type == U_FORMAT_CHAR;
}

icu::UnicodeString simplified(const icu::UnicodeString& text) {
  thread_local const std::unique_ptr<icu::Transliterator> to_simplified = [] {
    UErrorCode status = U_ZERO_ERROR;
    std::unique_ptr<icu::Transliterator> made(
        icu::Transliterator::createInstance("Traditional-Simplified", UTRANS_FORWARD, status));
    check_icu(status, "open its table of Chinese characters");
    return made;
  }();
  icu::UnicodeString result = text;
  to_simplified->transliterate(result);
  return result;
}

// The text in plain characters; what separates words stays.
std::u32string plain_text(std::string_view text) {
  thread_local LookAlikes look_alikes;
  UErrorCode status = U_ZERO_ERROR;
  icu::UnicodeString unicode = icu::UnicodeString::fromUTF8(
      icu::StringPiece(text.data(), static_cast<int32_t>(text.size())));
  bool has_chinese = false;
  for (int32_t i = 0; i < unicode.length() && !has_chinese; i = unicode.moveIndex32(i, 1)) {
    has_chinese = unicode.char32At(i) >= 0x2E80;
  }
  unicode = look_alikes.nfkd().normalize(unicode, status);
  check_icu(status, "normalise text");
  if (has_chinese) unicode = simplified(unicode);
  std::u32string plain;
  for (int32_t i = 0; i < unicode.length(); i = unicode.moveIndex32(i, 1)) {
    const auto c = static_cast<char32_t>(unicode.char32At(i));
    if (is_invisible(c)) continue;
    plain += look_alikes.plain(c);
  }
  return plain;
}

bool is_apostrophe(char32_t c) { return c == U'\'' || c == 0x2019 || c == 0x02BC || c == U'`'; }

TextForm tokenise(const std::u32string& text) {
  TextForm form;
  bool inside = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char32_t c = text[i];
    if (!is_word_character(c)) {
      const bool joins =
          is_apostrophe(c) && inside && i + 1 < text.size() && is_ascii_letter(text[i + 1]);
      inside = inside && joins;
      continue;
    }
    const bool alone = is_east_asian(c);
    form.letters += c;
    form.is_stretched.push_back(0);
    form.starts_token.push_back(!inside || alone);
    inside = !alone;
  }
  form.starts_token.push_back(1);
  return form;
}

// Digits and signs that are drawn for letters; `one` is the letter that 1 and | stand for.
std::u32string undo_leet(std::u32string text, char32_t one) {
  for (size_t i = 0; i < text.size(); ++i) {
    const bool before_letter = i + 1 < text.size() && u_isalnum(static_cast<UChar32>(text[i + 1]));
    switch (text[i]) {
      case U'0':
        text[i] = U'o';
        break;
      case U'1':
        text[i] = one;
        break;
      case U'2':
        text[i] = U'z';
        break;
      case U'3':
      case 0x20AC:
        text[i] = U'e';
        break;
      case U'4':
      case U'@':
        text[i] = U'a';
        break;
      case U'5':
      case U'$':
        text[i] = U's';
        break;
      case U'6':
      case U'9':
        text[i] = U'g';
        break;
      case U'7':
      case U'+':
        text[i] = U't';
        break;
      case U'8':
        text[i] = U'b';
        break;
      case U'!':
      case 0xA1:
        if (before_letter) text[i] = U'i';
        break;
      case U'|':
        if (before_letter) text[i] = one;
        break;
      default:
        break;
    }
  }
  return text;
}

// A single sign in or after a word hides one letter: n*ked, se#. Elsewhere it separates.
std::u32string masked_letters(std::u32string text) {
  const auto is_mask = [](char32_t c) {
    return c == U'*' || c == U'#' || c == U'_' || c == 0x2022;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (!is_mask(text[i])) continue;
    const bool after_letter = i > 0 && is_word_character(text[i - 1]) && text[i - 1] != U' ';
    const bool alone = i + 1 == text.size() || !is_mask(text[i + 1]);
    text[i] = after_letter && alone ? TextForm::kAnyLetter : U' ';
  }
  return text;
}

std::u32string without_masks(std::u32string text) {
  std::replace(text.begin(), text.end(), TextForm::kAnyLetter, U' ');
  return text;
}

// Runs of three and more letters as one stretched letter; likewise each letter of a word in which
// all are doubled.
TextForm shorten_runs(const TextForm& form) {
  TextForm shorter;
  for (size_t start = 0; start < form.letters.size();) {
    size_t stop = start + 1;
    while (!form.starts_token[stop]) ++stop;
    const auto run_at = [&](size_t i) {
      size_t run = 1;
      while (i + run < stop && form.letters[i + run] == form.letters[i]) ++run;
      return run;
    };
    bool all_doubled = stop - start >= 4;
    for (size_t i = start; i < stop && all_doubled; i += run_at(i)) all_doubled = run_at(i) >= 2;
    for (size_t i = start; i < stop; i += run_at(i)) {
      const bool is_long =
          (all_doubled || run_at(i) >= 3) && !u_isdigit(static_cast<UChar32>(form.letters[i]));
      for (size_t k = 0; k < (is_long ? 1 : run_at(i)); ++k) {
        shorter.letters += form.letters[i];
        shorter.is_stretched.push_back(is_long);
        shorter.starts_token.push_back(i == start && k == 0);
      }
    }
    start = stop;
  }
  shorter.starts_token.push_back(1);
  return shorter;
}

void add(std::vector<TextForm>& forms, TextForm form) {
  if (std::find(forms.begin(), forms.end(), form) == forms.end()) forms.push_back(std::move(form));
}

void add_readings(std::vector<TextForm>& forms, const std::u32string& plain) {
  for (const std::u32string& text : {without_masks(plain), masked_letters(plain)}) {
    for (const std::u32string& letters : {text, undo_leet(text, U'i'), undo_leet(text, U'l')}) {
      const TextForm form = tokenise(letters);
      add(forms, form);
      add(forms, shorten_runs(form));
    }
  }
}

}  // namespace

std::string TextForm::words(std::vector<size_t>* letter_at) const {
  std::string utf8;
  const auto append = [&](char32_t c, size_t letter) {
    icu::UnicodeString(static_cast<UChar32>(c)).toUTF8String(utf8);
    if (letter_at != nullptr) letter_at->resize(utf8.size(), letter);
  };
  for (size_t i = 0; i < letters.size(); ++i) {
    const bool chinese = i > 0 && is_east_asian(letters[i]) && is_east_asian(letters[i - 1]);
    if (i > 0 && starts_token[i] && !chinese) append(U' ', i);
    append(letters[i] == kBarrier ? U'\u0001' : letters[i], i);
  }
  if (letter_at != nullptr) letter_at->push_back(letters.size());
  return utf8;
}

std::vector<TextForm> read_forms(std::string_view text) {
  std::vector<TextForm> forms;
  const std::u32string plain = plain_text(text);
  add_readings(forms, plain);
  constexpr std::string_view kRightToLeftOverride = "\u202E";
  if (text.find(kRightToLeftOverride) != text.npos)
    add_readings(forms, {plain.rbegin(), plain.rend()});
  return forms;
}

}  // namespace sora
