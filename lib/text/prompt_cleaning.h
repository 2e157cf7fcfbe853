// prompt_clean of diffusers' Wan pipelines: what happens to a prompt before the tokenizer sees it.
#pragma once

#include <string>
#include <string_view>

namespace sora {

// ftfy.fix_text, HTML references decoded twice, white space at the ends removed and elsewhere made
// one space. Throws Error(Usage) for text that is not UTF-8.
std::string clean_prompt(std::string_view prompt);

}  // namespace sora
