// A model made for a small world says which words it knows; the others are told to the user.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace sora {

// The words of `prompt` that are not in `vocabulary`, each once, in order. Latin words are compared
// without case; other scripts, which write no spaces, are cut greedily into the longest known
// words, and what is left between is unknown. An empty vocabulary knows everything.
std::vector<std::string> unknown_words(std::string_view prompt,
                                       const std::vector<std::string>& vocabulary);

}  // namespace sora
