// Prompts, of any bytes: what is accepted must come out as UTF-8.
#include "lib/text/prompt_cleaning.h"

#include "lib/core/utf8.h"
#include "tests/fuzz/fuzz_target.h"

SORA_FUZZ_TARGET(prompt_cleaning) {
  if (!sora::is_valid_utf8(sora::clean_prompt(bytes))) __builtin_trap();
}
