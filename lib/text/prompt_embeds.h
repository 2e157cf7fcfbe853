// What the text side hands to the denoiser: prompts as hidden states of the text encoder, one row a
// token.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "lib/core/observer.h"
#include "lib/text/prompt_limit.h"
#include "lib/text/tokenizer.h"
#include "lib/text/umt5.h"

namespace sora {

// T max_sequence_length, D width of the encoder.
struct EncodedPrompt {
  at::Tensor embeds_TD;    // zeros from num_tokens on, as the Wan pipelines pad
  int64_t num_tokens = 0;  // with the end token
};

// Cleans, tokenizes and encodes every text, in one pass over the encoder's weights. A text longer
// than `max_sequence_length` tokens is cut as diffusers cuts it, and the observer is told. Throws
// Error(Usage) for a text that is no UTF-8 or longer than kMaxPromptBytes.
std::vector<EncodedPrompt> encode_texts(const Tokenizer& tokenizer, const Umt5Encoder& encoder,
                                        const std::vector<std::string>& texts,
                                        int64_t max_sequence_length, Observer& observer);

}  // namespace sora
