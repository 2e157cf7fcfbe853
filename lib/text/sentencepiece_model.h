// A SentencePiece model file (spiece.model): a protobuf message of which only the fields below are
// read. The library's own reader is not used, because on crafted files it overruns its stack and
// buffers (google/sentencepiece #1263, #1269), and its segmentation is not the reference's: see
// unigram.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sora {

struct SentencePieceModel {
  enum class Type { Normal = 1, Unknown = 2, Control = 3, UserDefined = 4, Unused = 5, Byte = 6 };
  struct Piece {
    std::string text;
    float score = 0;
    Type type = Type::Normal;
  };
  static constexpr size_t kMaxPieces = 512 << 10;
  static constexpr size_t kMaxPieceBytes = 1024;
  std::vector<Piece> pieces;
  std::string precompiled_charsmap;
};

// Throws Error(Input), with `description` in the message, for a file that is not such a message, is
// not a Unigram model, or exceeds what any real one has (kMaxPieces of at most kMaxPieceBytes).
SentencePieceModel parse_sentencepiece_model(std::string_view bytes,
                                             const std::string& description);

}  // namespace sora
