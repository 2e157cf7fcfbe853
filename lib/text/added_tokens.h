// Tokens that are cut out of the text before the model sees it, such as </s>.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace sora {

struct AddedToken {
  std::string text;
  int64_t id = -1;
  bool single_word = false;  // only where no letter or digit touches it
  bool strip_left = false;   // takes the white space before it along
  bool strip_right = false;
  bool normalized = false;  // looked for in the normalised text instead of the original
};

class AddedTokens {
 public:
  explicit AddedTokens(std::vector<AddedToken> tokens);

  // Calls back for each stretch of `text` from left to right: between tokens with id -1, for tokens
  // with their id. Where tokens overlap, the one that begins first counts, of these the longest.
  void split(std::string_view text,
             const std::function<void(std::string_view, int64_t id)>& visit) const;

 private:
  const AddedToken* match_at(std::string_view text, size_t position) const;

  std::vector<AddedToken> tokens_;  // longest first
  std::array<std::vector<size_t>, 256> by_first_byte_;
};

}  // namespace sora
