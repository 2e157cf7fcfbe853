// A tokenizer as the metadata of a GGUF file.
#pragma once

#include <map>
#include <string>

#include "lib/tensor_io/tensor_source.h"
#include "lib/text/tokenizer_files.h"

namespace sora {

// The keys "tokenizer.ggml.*" of https://github.com/ggml-org/ggml/blob/master/docs/gguf.md as
// llama.cpp writes them for T5: texts, scores and SentencePiece's types of the pieces, and the
// normalisation table. Added tokens stand at their ids; what white space they take along is not
// kept, as these keys have no place for it.
std::map<std::string, GgufMetadata> gguf_tokenizer(const TokenizerFiles& tokenizer);

}  // namespace sora
