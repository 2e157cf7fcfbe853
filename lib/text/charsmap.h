// SentencePiece's precompiled normalisation table ("precompiled_charsmap"): 4 bytes of
// little-endian size, a double array trie (Darts-clone) of that many bytes, and the replacements,
// each ending in a zero byte.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sora {

class Charsmap {
 public:
  // Throws Error(Input), with `description` in the message, for a table that its own sizes
  // contradict.
  Charsmap(std::string_view bytes, const std::string& description);

  // As the Precompiled normaliser of the tokenizers library applies it: to whole grapheme clusters
  // of less than six bytes where the table has one, else to single characters. `text` is valid
  // UTF-8. Throws Error(Input) where the trie leads out of itself.
  std::string normalize(std::string_view text) const;

 private:
  std::optional<std::string_view> replacement(std::string_view chunk) const;

  std::vector<uint32_t> trie_;
  std::string replacements_;
  std::string description_;
};

}  // namespace sora
