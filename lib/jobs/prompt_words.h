// Options written in a row, as on a command line, split into fields with their places.
#pragma once

#include <vector>

#include "lib/jobs/text_places.h"

namespace sora {

struct PlacedWord {
  std::string text;
  Place at;
  bool quoted = false;
};

// Splits bytes [begin, end) of a text at blanks; quotes and backslash as in a POSIX shell, without
// expansions. Appends a fault for a quote that is never closed.
std::vector<PlacedWord> split_words(std::string_view text, size_t begin, size_t end,
                                    const TextPlaces& places, const std::string& file,
                                    std::vector<Fault>& faults);

// {"--steps", "4", "--seed=1", "--force"} as fields: an option without a value is true, one with
// several a list. A first word without dashes is the operation. Appends faults for words that
// belong to no option.
std::vector<PromptField> fields_of_words(const std::vector<PlacedWord>& words,
                                         const std::string& file, std::vector<Fault>& faults);

}  // namespace sora
