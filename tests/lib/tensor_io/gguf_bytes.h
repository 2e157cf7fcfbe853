// GGUF files for tests, also such as no writer makes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sora {

// The bytes of a GGUF file, written field by field so that any of them can be wrong.
class GgufBytes {
 public:
  template <typename T>
  GgufBytes& number(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  GgufBytes& u32(uint32_t value) { return number(value); }
  GgufBytes& u64(uint64_t value) { return number(value); }
  GgufBytes& raw(std::string_view bytes) {
    text_.append(bytes);
    return *this;
  }
  GgufBytes& text(std::string_view bytes) { return u64(bytes.size()).raw(bytes); }
  GgufBytes& head(uint64_t tensors, uint64_t values, uint32_t version = 3) {
    return raw("GGUF").u32(version).u64(tensors).u64(values);
  }
  GgufBytes& tensor(std::string_view name, const std::vector<uint64_t>& sides, uint32_t type,
                    uint64_t offset) {
    text(name).u32(static_cast<uint32_t>(sides.size()));
    for (const uint64_t side : sides) u64(side);
    return u32(type).u64(offset);
  }
  GgufBytes& data(size_t size) {
    text_.append((32 - text_.size() % 32) % 32, '\0');
    text_.append(size, '\1');
    return *this;
  }
  const std::string& str() const { return text_; }

 private:
  std::string text_;
};

}  // namespace sora
