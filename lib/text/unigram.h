// The Unigram language model (arXiv 1804.10959): a word is cut into the pieces whose scores have
// the highest sum.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sora {

struct Piece {
  std::string text;
  double score;
};

class Unigram {
 public:
  // A piece's id is its place in the list; of equal ones the last counts. `unknown_id` must be in
  // the list.
  Unigram(std::vector<Piece> pieces, int64_t unknown_id);

  // Appends the ids of one word of valid UTF-8. Neighbouring unknown characters become one unknown
  // id.
  void encode(std::string_view word, std::vector<int64_t>& ids) const;

  int64_t find(std::string_view piece) const;  // -1 where there is none
  int64_t size() const { return static_cast<int64_t>(pieces_.size()); }

 private:
  std::vector<Piece> pieces_;
  std::vector<uint32_t> sorted_;  // ids of distinct pieces in the order of their texts
  int64_t unknown_id_;
  double unknown_score_;
};

}  // namespace sora
