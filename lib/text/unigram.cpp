// Scores are summed in double as the tokenizers library does: SentencePiece sums in float, and of
// two cuttings with the same pieces in another order ("aaaa" as aa a a or a a aa) rounding would
// choose the one the reference does not.
#include "lib/text/unigram.h"

#include <algorithm>
#include <limits>

#include "lib/text/unicode.h"

namespace sora {
namespace {

constexpr double kUnknownPenalty = 10.0;

}  // namespace

Unigram::Unigram(std::vector<Piece> pieces, int64_t unknown_id)
    : pieces_(std::move(pieces)), unknown_id_(unknown_id) {
  double lowest = std::numeric_limits<double>::infinity();
  for (const Piece& piece : pieces_) lowest = std::min(lowest, piece.score);
  unknown_score_ = lowest - kUnknownPenalty;

  sorted_.resize(pieces_.size());
  for (size_t i = 0; i < sorted_.size(); ++i) sorted_[i] = static_cast<uint32_t>(i);
  std::sort(sorted_.begin(), sorted_.end(), [&](uint32_t a, uint32_t b) {
    const int order = pieces_[a].text.compare(pieces_[b].text);
    return order != 0 ? order < 0 : a > b;
  });
  const auto same_text = [&](uint32_t a, uint32_t b) { return pieces_[a].text == pieces_[b].text; };
  sorted_.erase(std::unique(sorted_.begin(), sorted_.end(), same_text), sorted_.end());
}

int64_t Unigram::find(std::string_view piece) const {
  const auto found =
      std::lower_bound(sorted_.begin(), sorted_.end(), piece,
                       [&](uint32_t id, std::string_view text) { return pieces_[id].text < text; });
  return found != sorted_.end() && pieces_[*found].text == piece ? int64_t{*found} : -1;
}

void Unigram::encode(std::string_view word, std::vector<int64_t>& ids) const {
  constexpr size_t kUnreached = std::numeric_limits<size_t>::max();
  struct Node {
    double score = 0;
    size_t start = kUnreached;  // of the last piece on the best path to here
    int64_t id = 0;
  };
  std::vector<Node> best(word.size() + 1);
  const auto offer = [&](size_t start, size_t end, int64_t id, double score) {
    const double candidate = score + best[start].score;
    if (best[end].start == kUnreached || candidate > best[end].score)
      best[end] = {candidate, start, id};
  };

  for (size_t start = 0; start < word.size();) {
    const size_t character_end = start + utf8_length(word[start]);
    bool has_single = false;
    // The pieces that begin like the rest of the word, narrowed down by one byte at a time.
    auto low = sorted_.begin();
    auto high = sorted_.end();
    for (size_t end = start + 1; end <= word.size() && low != high; ++end) {
      const size_t depth = end - start - 1;
      const auto byte_of = [&](uint32_t id) {
        const std::string& text = pieces_[id].text;
        return depth < text.size() ? static_cast<unsigned char>(text[depth]) : -1;
      };
      const int byte = static_cast<unsigned char>(word[end - 1]);
      low = std::partition_point(low, high, [&](uint32_t id) { return byte_of(id) < byte; });
      high = std::partition_point(low, high, [&](uint32_t id) { return byte_of(id) == byte; });
      if (low == high || pieces_[*low].text.size() != depth + 1) continue;
      offer(start, end, *low, pieces_[*low].score);
      has_single |= end == character_end;
    }
    if (!has_single) offer(start, character_end, unknown_id_, unknown_score_);
    start = character_end;
  }

  const size_t first = ids.size();
  for (size_t end = word.size(); end > 0;) {
    const size_t unknown_end = end;
    while (end > 0 && best[end].id == unknown_id_) end = best[end].start;
    if (end < unknown_end) {
      const int64_t whole = find(word.substr(end, unknown_end - end));
      ids.push_back(whole >= 0 ? whole : unknown_id_);
    } else {
      ids.push_back(best[end].id);
      end = best[end].start;
    }
  }
  std::reverse(ids.begin() + static_cast<std::ptrdiff_t>(first), ids.end());
}

}  // namespace sora
