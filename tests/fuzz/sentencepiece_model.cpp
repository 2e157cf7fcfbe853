// The protobuf message of spiece.model.
#include "lib/text/sentencepiece_model.h"

#include "tests/fuzz/fuzz_target.h"

SORA_FUZZ_TARGET(sentencepiece_model) { sora::parse_sentencepiece_model(bytes, "spiece.model"); }
