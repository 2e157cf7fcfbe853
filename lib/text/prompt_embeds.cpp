#include "lib/text/prompt_embeds.h"

#include <ATen/ops/zeros.h>

#include "lib/core/error.h"
#include "lib/text/prompt_cleaning.h"

namespace sora {

std::vector<EncodedPrompt> encode_texts(const Tokenizer& tokenizer, const Umt5Encoder& encoder,
                                        const std::vector<std::string>& texts,
                                        int64_t max_sequence_length, Observer& observer) {
  std::vector<std::vector<int64_t>> ids;
  for (const std::string& text : texts) {
    if (text.size() > kMaxPromptBytes) {
      fail(ErrorKind::Usage, "the prompt has {} bytes, at most {} are accepted", text.size(),
           kMaxPromptBytes);
    }
    Tokenizer::Encoding encoding = tokenizer.encode(clean_prompt(text), max_sequence_length);
    if (encoding.num_dropped > 0) {
      observer.notice(fmt::format(
          "the prompt is {} tokens too long; the model reads the first {} and not the rest",
          encoding.num_dropped, max_sequence_length));
    }
    ids.push_back(std::move(encoding.ids));
  }

  std::vector<EncodedPrompt> prompts;
  for (const at::Tensor& states_TD : encoder.encode(ids, observer)) {
    at::Tensor embeds_TD = at::zeros({max_sequence_length, states_TD.size(1)}, states_TD.options());
    embeds_TD.slice(0, 0, states_TD.size(0)).copy_(states_TD);
    prompts.push_back({std::move(embeds_TD), states_TD.size(0)});
  }
  return prompts;
}

}  // namespace sora
