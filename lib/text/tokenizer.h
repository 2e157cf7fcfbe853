// Text to token ids, as the tokenizer of a diffusers pipeline does it: the class T5Tokenizer of
// transformers 5 on the Unigram model (arXiv 1804.10959) of tokenizer.json or spiece.model.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace sora {

class Tokenizer {
 public:
  struct Encoding {
    std::vector<int64_t> ids;  // the last is the end token
    int64_t num_dropped = 0;   // tokens cut off to stay within the limit
  };

  // The component directory (tokenizer.json, or spiece.model without it, and
  // tokenizer_config.json), a spiece.model alone, or a text encoder's file that holds one. Throws
  // Error(NotFound) where neither is there, Error(Input) saying what is wrong or not supported.
  static Tokenizer open(const std::filesystem::path& path);

  // At most `max_length` ids, the end token among them. `text` is UTF-8.
  Encoding encode(std::string_view text, int64_t max_length) const;

  // One more than the highest id.
  int64_t vocabulary_size() const;

 private:
  struct State;
  explicit Tokenizer(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

}  // namespace sora
