// Storyboards, YAML and JSON: what is accepted is in order.
#include "lib/pipelines/storyboard.h"
#include "tests/fuzz/fuzz_target.h"

SORA_FUZZ_TARGET(storyboard) {
  const sora::Storyboard storyboard = sora::parse_storyboard(bytes, "storyboard");
  if (storyboard.cards.empty()) __builtin_trap();
  for (size_t i = 1; i < storyboard.cards.size(); ++i) {
    if (!(storyboard.cards[i - 1].at_s < storyboard.cards[i].at_s)) __builtin_trap();
  }
}
