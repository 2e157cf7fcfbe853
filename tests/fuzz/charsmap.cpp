// The last 16 bytes are the text, the rest is the table.
#include "lib/text/charsmap.h"

#include <algorithm>

#include "lib/core/utf8.h"
#include "tests/fuzz/fuzz_target.h"

SORA_FUZZ_TARGET(charsmap) {
  const size_t table_size = bytes.size() - std::min<size_t>(bytes.size(), 16);
  const sora::Charsmap charsmap(bytes.substr(0, table_size), "tokenizer.json");
  const std::string_view text = bytes.substr(table_size);
  if (!sora::is_valid_utf8(text)) return;
  if (!sora::is_valid_utf8(charsmap.normalize(text))) __builtin_trap();
}
