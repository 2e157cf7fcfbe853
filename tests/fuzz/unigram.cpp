// Words of a small vocabulary: every cutting must spell the word again, unknown stretches aside.
#include "lib/text/unigram.h"

#include "lib/core/utf8.h"
#include "tests/fuzz/fuzz_target.h"

SORA_FUZZ_TARGET(unigram) {
  constexpr int64_t kUnknown = 2;
  static const std::vector<sora::Piece> pieces = {
      {"<pad>", 0}, {"</s>", 0},    {"<unk>", 0},    {"a", -2}, {"aa", -3},    {"b", -2.5},
      {"ab", -4},   {"\u2581", -1}, {"\u2581a", -2}, {"é", -5}, {"🙂a", -6}, {"aba", -4.5}};
  static const sora::Unigram model(pieces, kUnknown);
  if (!sora::is_valid_utf8(bytes)) return;
  std::vector<int64_t> ids;
  model.encode(bytes, ids);
  std::string spelled;
  bool all_known = true;
  for (const int64_t id : ids) {
    all_known &= id != kUnknown;
    spelled += pieces.at(static_cast<size_t>(id)).text;
  }
  if (all_known && spelled != bytes) __builtin_trap();
}
