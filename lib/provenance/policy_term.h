// One entry of a policy's list: a term, matched in every reading of a text, or a regular expression
// over its words.
#pragma once

#include <memory>
#include <string>

#include "lib/provenance/text_forms.h"

namespace re2 {
class RE2;
}

namespace sora {

class PolicyTerm {
 public:
  // "term", "several words", "stem*" or "re:EXPRESSION" (RE2 syntax, matched against
  // TextForm::words()). Throws Error(Input) for an empty term and an expression that RE2 does not
  // take.
  explicit PolicyTerm(const std::string& entry);

  bool matches(const TextForm& form) const;
  // The form with every match replaced by a gap that no term matches across.
  void take_out(TextForm& form) const;

 private:
  struct Span {
    size_t start = 0;
    size_t stop = 0;
    bool is_found() const { return stop > start; }
  };
  Span find(const TextForm& form, size_t from) const;  // in letters

  std::u32string letters_;
  bool is_stem_ = false;
  std::shared_ptr<const re2::RE2> expression_;
};

}  // namespace sora
