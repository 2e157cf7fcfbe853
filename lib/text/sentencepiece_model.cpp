// Wire format: https://protobuf.dev/programming-guides/encoding; field numbers:
// sentencepiece_model.proto.
#include "lib/text/sentencepiece_model.h"

#include <cstring>

#include "lib/core/error.h"
#include "lib/core/utf8.h"

namespace sora {
namespace {

enum class WireType { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

struct Field {
  uint64_t number = 0;
  WireType type = WireType::Varint;
  uint64_t value = 0;      // of Varint and Fixed
  std::string_view bytes;  // of Bytes
};

// One message, read field by field.
class Message {
 public:
  Message(std::string_view bytes, const std::string& description)
      : rest_(bytes), description_(description) {}

  bool next(Field& field) {
    if (rest_.empty()) return false;
    const uint64_t key = varint();
    field = Field{key >> 3, static_cast<WireType>(key & 7), 0, {}};
    switch (field.type) {
      case WireType::Varint:
        field.value = varint();
        return true;
      case WireType::Fixed64:
        field.value = fixed(8);
        return true;
      case WireType::Fixed32:
        field.value = fixed(4);
        return true;
      case WireType::Bytes:
        field.bytes = take(varint());
        return true;
    }
    damaged();
  }

 private:
  [[noreturn]] void damaged() const {
    fail(ErrorKind::Input, "{}: is not a SentencePiece model, or is truncated", description_);
  }

  uint64_t varint() {
    uint64_t value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      const auto byte = static_cast<unsigned char>(take(1)[0]);
      value |= uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
    damaged();
  }

  uint64_t fixed(size_t size) {
    uint64_t value = 0;
    std::memcpy(&value, take(size).data(), size);
    return value;
  }

  std::string_view take(uint64_t size) {
    if (size > rest_.size()) damaged();
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }

  std::string_view rest_;
  const std::string& description_;
};

SentencePieceModel::Piece parse_piece(std::string_view bytes, const std::string& description) {
  SentencePieceModel::Piece piece;
  Message message(bytes, description);
  for (Field field; message.next(field);) {
    if (field.number == 1 && field.type == WireType::Bytes) {
      if (field.bytes.size() > SentencePieceModel::kMaxPieceBytes || !is_valid_utf8(field.bytes)) {
        fail(ErrorKind::Input, "{}: has a piece of {} bytes; expected UTF-8 of at most {}",
             description, field.bytes.size(), SentencePieceModel::kMaxPieceBytes);
      }
      piece.text = field.bytes;
    } else if (field.number == 2 && field.type == WireType::Fixed32) {
      const auto bits = static_cast<uint32_t>(field.value);
      std::memcpy(&piece.score, &bits, sizeof bits);
    } else if (field.number == 3 && field.type == WireType::Varint && field.value >= 1 &&
               field.value <= 6) {
      piece.type = static_cast<SentencePieceModel::Type>(field.value);
    }
  }
  return piece;
}

void check_trainer(std::string_view bytes, const std::string& description) {
  constexpr uint64_t kUnigram = 1;
  Message message(bytes, description);
  for (Field field; message.next(field);) {
    if (field.number == 3 && field.type == WireType::Varint && field.value != kUnigram) {
      fail(ErrorKind::Input, "{}: is a SentencePiece model of type {}, expected 1 (Unigram)",
           description, field.value);
    }
  }
}

}  // namespace

SentencePieceModel parse_sentencepiece_model(std::string_view bytes,
                                             const std::string& description) {
  SentencePieceModel model;
  bool has_trainer = false;
  bool has_normalizer = false;
  Message message(bytes, description);
  for (Field field; message.next(field);) {
    if (field.type != WireType::Bytes) continue;
    if (field.number == 1) {
      if (model.pieces.size() >= SentencePieceModel::kMaxPieces) {
        fail(ErrorKind::Input, "{}: has more than {} pieces", description,
             SentencePieceModel::kMaxPieces);
      }
      model.pieces.push_back(parse_piece(field.bytes, description));
    } else if (field.number == 2) {
      has_trainer = true;
      check_trainer(field.bytes, description);
    } else if (field.number == 3) {
      has_normalizer = true;
      Message normalizer(field.bytes, description);
      for (Field inner; normalizer.next(inner);) {
        if (inner.number == 2 && inner.type == WireType::Bytes)
          model.precompiled_charsmap = inner.bytes;
      }
    }
  }
  if (model.pieces.empty())
    fail(ErrorKind::Input, "{}: is a SentencePiece model without pieces", description);
  // They follow the pieces: a file cut between two fields is found out by what it lacks.
  if (!has_trainer || !has_normalizer) {
    fail(ErrorKind::Input,
         "{}: has no trainer_spec or normalizer_spec; it is truncated, or no SentencePiece model",
         description);
  }
  return model;
}

}  // namespace sora
