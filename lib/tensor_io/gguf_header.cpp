#include "lib/tensor_io/gguf_header.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <set>

#include "lib/core/error.h"
#include "lib/core/utf8.h"

namespace sora {
namespace {

constexpr uint32_t kMaxDims = 5;
constexpr uint64_t kMaxNameBytes = 1 << 16;
constexpr uint64_t kMaxStringBytes = 1 << 26;
constexpr uint64_t kMaxHeaderBytes = 1 << 27;
constexpr uint64_t kMaxNames = 200'000;  // of keys and tensors; the largest Wan models have 2,000
constexpr uint64_t kMaxListedValues =
    2'000'000;  // in all lists together; UMT5-XXL's tokenizer has 770,000
constexpr int64_t kMaxAlignment = 1 << 16;
constexpr int64_t kDefaultAlignment = 32;
const std::string kAlignmentKey = "general.alignment";
constexpr std::string_view kOriginalShape = "comfy.gguf.orig_shape.";

enum ValueType : uint32_t {
  kUint8,
  kInt8,
  kUint16,
  kInt16,
  kUint32,
  kInt32,
  kFloat32,
  kBool,
  kString,
  kArray,
  kUint64,
  kInt64,
  kFloat64
};

struct PlainType {
  uint32_t type;
  at::ScalarType dtype;
};

constexpr PlainType kPlainTypes[] = {{0, at::kFloat},   {1, at::kHalf},     {24, at::kChar},
                                     {25, at::kShort},  {26, at::kInt},     {27, at::kLong},
                                     {28, at::kDouble}, {30, at::kBFloat16}};

// ggml's names of types that are not read.
struct OtherType {
  uint32_t type;
  std::string_view name;
};

constexpr OtherType kOtherTypes[] = {
    {9, "Q8_1"},     {10, "Q2_K"},  {11, "Q3_K"},   {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"},
    {18, "IQ3_XXS"}, {19, "IQ1_S"}, {20, "IQ4_NL"}, {21, "IQ3_S"}, {22, "IQ2_S"},   {23, "IQ4_XS"},
    {29, "IQ1_M"},   {34, "TQ1_0"}, {35, "TQ2_0"},  {39, "MXFP4"}};

class Reader {
 public:
  Reader(std::string_view file, const std::string& description)
      : file_(file), description_(description) {}

  template <typename... Args>
  [[noreturn]] void refuse(fmt::format_string<Args...> format, Args&&... args) const {
    fail(ErrorKind::Input, "{}: GGUF header {}", description_,
         fmt::format(format, std::forward<Args>(args)...));
  }

  size_t position() const { return position_; }

  template <typename T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }

  std::string text(uint64_t max_bytes) {
    const auto length = number<uint64_t>();
    if (length > max_bytes)
      refuse("has a text of {} bytes, at most {} are read", length, max_bytes);
    const std::string_view bytes = take(length);
    if (!is_valid_utf8(bytes)) refuse("has a text that is no UTF-8 at byte {}", position_);
    return std::string(bytes);
  }

  // Of things that take at least `least_bytes` each: what cannot fit is not allocated for. `budget`
  // is how many there may be, and is reduced by them.
  uint64_t count(uint64_t least_bytes, uint64_t& budget, const char* what) {
    const auto number_of = number<uint64_t>();
    if (number_of > left() / least_bytes)
      refuse("announces {} {}, which the file has no room for", number_of, what);
    if (number_of > budget)
      refuse("announces {} {}, of which at most {} are read", number_of, what, budget);
    budget -= number_of;
    return number_of;
  }

  GgufValue value(uint32_t type) { return type == kArray ? array() : scalar(type); }

 private:
  size_t left() const { return file_.size() - position_; }

  std::string_view take(uint64_t size) {
    if (size > left())
      refuse("is truncated at byte {}; download or copy the file again", position_);
    if (size > kMaxHeaderBytes - position_) refuse("has more than {} bytes", kMaxHeaderBytes);
    const std::string_view taken = file_.substr(position_, size);
    position_ += size;
    return taken;
  }

  GgufValue scalar(uint32_t type) {
    switch (type) {
      case kUint8:
        return int64_t{number<uint8_t>()};
      case kInt8:
        return int64_t{number<int8_t>()};
      case kUint16:
        return int64_t{number<uint16_t>()};
      case kInt16:
        return int64_t{number<int16_t>()};
      case kUint32:
        return int64_t{number<uint32_t>()};
      case kInt32:
        return int64_t{number<int32_t>()};
      case kFloat32:
        return double{number<float>()};
      case kFloat64:
        return number<double>();
      case kBool:
        return number<uint8_t>() != 0;
      case kString:
        return text(kMaxStringBytes);
      case kInt64:
        return number<int64_t>();
      case kUint64: {
        const auto wide = number<uint64_t>();
        if (wide > uint64_t{INT64_MAX}) refuse("has the number {}, which no file can mean", wide);
        return static_cast<int64_t>(wide);
      }
      default:
        refuse("has a value of type {}, which is unknown", type);
    }
  }

  GgufValue array() {
    const auto type = number<uint32_t>();
    const uint64_t bytes_each = least_bytes(type);
    const uint64_t length = count(bytes_each, listed_values_left_, "values of a list");
    if (type == kString) {
      std::vector<std::string> texts;
      for (uint64_t i = 0; i < length; ++i) texts.push_back(text(kMaxNameBytes));
      return texts;
    }
    if (type == kFloat32 || type == kFloat64) {
      std::vector<double> numbers;
      for (uint64_t i = 0; i < length; ++i) numbers.push_back(std::get<double>(scalar(type)));
      return numbers;
    }
    std::vector<int64_t> numbers;
    for (uint64_t i = 0; i < length; ++i) {
      const GgufValue each = scalar(type);
      numbers.push_back(type == kBool ? std::get<bool>(each) : std::get<int64_t>(each));
    }
    return numbers;
  }

  uint64_t least_bytes(uint32_t type) const {
    switch (type) {
      case kUint8:
      case kInt8:
      case kBool:
        return 1;
      case kUint16:
      case kInt16:
        return 2;
      case kUint32:
      case kInt32:
      case kFloat32:
        return 4;
      case kString:
      case kUint64:
      case kInt64:
      case kFloat64:
        return 8;
      default:
        refuse("has a list of values of type {}, which is not read", type);
    }
  }

  std::string_view file_;
  const std::string& description_;
  size_t position_ = 0;
  uint64_t listed_values_left_ = kMaxListedValues;
};

// Whether a tensor's strides fit in 63 bits; in one without values they are those of its other
// dimensions.
bool has_strides(const std::vector<int64_t>& shape) {
  int64_t stride = sizeof(double);
  return std::none_of(shape.begin(), shape.end(), [&](int64_t size) {
    return __builtin_mul_overflow(stride, std::max<int64_t>(size, 1), &stride);
  });
}

// Bytes of the values, empty where they overflow or are no whole blocks.
std::optional<int64_t> num_bytes(const GgufTensor& tensor) {
  if (!has_strides(tensor.shape)) return std::nullopt;
  int64_t values = 1;
  for (const int64_t size : tensor.shape) values *= size;
  int64_t bytes = 0;
  if (!tensor.blocks) {
    const auto each = static_cast<int64_t>(c10::elementSize(tensor.dtype));
    return __builtin_mul_overflow(values, each, &bytes) ? std::nullopt : std::optional(bytes);
  }
  const int64_t row = tensor.shape.empty() ? 1 : tensor.shape.back();
  if (row % tensor.blocks->num_values != 0) return std::nullopt;
  const int64_t blocks = values / tensor.blocks->num_values;
  return __builtin_mul_overflow(blocks, tensor.blocks->num_bytes, &bytes) ? std::nullopt
                                                                          : std::optional(bytes);
}

void set_type(Reader& reader, uint32_t type, GgufTensor& tensor) {
  tensor.blocks = find_block_format(type);
  tensor.dtype = at::kByte;
  if (tensor.blocks) return;
  const auto* plain = std::find_if(std::begin(kPlainTypes), std::end(kPlainTypes),
                                   [&](const PlainType& row) { return row.type == type; });
  if (plain == std::end(kPlainTypes)) {
    const auto* other = std::find_if(std::begin(kOtherTypes), std::end(kOtherTypes),
                                     [&](const OtherType& row) { return row.type == type; });
    reader.refuse(
        "has tensor \"{}\" in GGML type {}, which is not supported; supported are F32, F16, "
        "BF16, Q8_0, Q6_K, Q5_K, Q4_K, Q5_1, Q5_0, Q4_1 and Q4_0",
        tensor.name,
        other == std::end(kOtherTypes) ? std::to_string(type) : std::string(other->name));
  }
  tensor.dtype = plain->dtype;
}

// `begin` is counted from the start of the data for now.
GgufTensor read_tensor(Reader& reader) {
  GgufTensor tensor;
  tensor.name = reader.text(kMaxNameBytes);
  if (tensor.name.find('\0') != std::string::npos)
    reader.refuse("has a tensor whose name holds a zero byte");
  const auto num_dims = reader.number<uint32_t>();
  if (num_dims > kMaxDims) {
    reader.refuse("has tensor \"{}\" with {} dimensions, at most {} are read", tensor.name,
                  num_dims, kMaxDims);
  }
  for (uint32_t axis = 0; axis < num_dims; ++axis) {
    const auto size = reader.number<uint64_t>();
    if (size > uint64_t{INT64_MAX})
      reader.refuse("has tensor \"{}\" with a side of {}", tensor.name, size);
    tensor.shape.insert(tensor.shape.begin(), static_cast<int64_t>(size));
  }
  set_type(reader, reader.number<uint32_t>(), tensor);
  const auto offset = reader.number<uint64_t>();
  if (offset > uint64_t{INT64_MAX})
    reader.refuse("has tensor \"{}\" at byte {}", tensor.name, offset);
  tensor.begin = static_cast<int64_t>(offset);
  return tensor;
}

int64_t alignment_of(const Reader& reader, const GgufHeader& header) {
  const auto found = header.metadata.find(kAlignmentKey);
  if (found == header.metadata.end()) return kDefaultAlignment;
  const auto value = std::get<int64_t>(found->second);
  if (value < 1 || value > kMaxAlignment || (value & (value - 1)) != 0) {
    reader.refuse("has a {} that is no power of two up to {}", kAlignmentKey, kMaxAlignment);
  }
  return value;
}

int64_t padded(int64_t position, int64_t alignment) {
  return (position + alignment - 1) / alignment * alignment;
}

void place_tensors(const Reader& reader, int64_t file_size, GgufHeader& header) {
  const int64_t alignment = alignment_of(reader, header);
  const int64_t data = padded(static_cast<int64_t>(reader.position()), alignment);
  int64_t expected = 0;
  for (GgufTensor& tensor : header.tensors) {
    const auto size = num_bytes(tensor);
    if (!size) {
      reader.refuse("has tensor \"{}\" of a shape that overflows or is no whole blocks",
                    tensor.name);
    }
    if (tensor.begin != expected) {
      reader.refuse("puts tensor \"{}\" at byte {} of the data, expected {}", tensor.name,
                    tensor.begin, expected);
    }
    if (*size > file_size - data - tensor.begin) {
      reader.refuse(
          "says that tensor \"{}\" needs {} bytes, but the file ends before; download or copy "
          "it again",
          tensor.name, *size);
    }
    expected = padded(tensor.begin + *size, alignment);
    tensor.begin += data;
    tensor.end = tensor.begin + *size;
  }
}

void restore_shapes(const Reader& reader, GgufHeader& header) {
  for (GgufTensor& tensor : header.tensors) {
    const auto found = header.metadata.find(std::string(kOriginalShape) + tensor.name);
    if (found == header.metadata.end()) continue;
    const auto* shape = std::get_if<std::vector<int64_t>>(&found->second);
    int64_t values = 1, wanted = 1;
    for (const int64_t size : tensor.shape) values *= size;
    bool fits = shape && shape->size() <= kMaxDims;
    for (size_t i = 0; fits && i < shape->size(); ++i)
      fits = (*shape)[i] >= 0 && !__builtin_mul_overflow(wanted, (*shape)[i], &wanted);
    if (!fits || wanted != values || !has_strides(*shape)) {
      reader.refuse("gives tensor \"{}\" an original shape of another number of values",
                    tensor.name);
    }
    tensor.shape = *shape;
  }
}

}  // namespace

GgufHeader parse_gguf_header(std::string_view file, const std::string& description) {
  constexpr uint64_t kLeastValueBytes = 8 + 4 + 1;       // key, type, value
  constexpr uint64_t kLeastTensorBytes = 8 + 4 + 4 + 8;  // name, dimensions, type, offset
  if (!file.starts_with(kGgufMagic))
    fail(ErrorKind::Input, "{}: does not begin with GGUF", description);
  Reader reader(file, description);
  reader.number<uint32_t>();
  const auto version = reader.number<uint32_t>();
  if (version != 2 && version != 3) {
    reader.refuse(
        "has version {}, expected 2 or 3{}", version,
        version == 0x02000000 || version == 0x03000000 ? " (the file is big-endian)" : "");
  }
  GgufHeader header;
  uint64_t names_left = kMaxNames;
  const uint64_t num_tensors = reader.count(kLeastTensorBytes, names_left, "tensors");
  const uint64_t num_values = reader.count(kLeastValueBytes, names_left, "metadata values");
  for (uint64_t i = 0; i < num_values; ++i) {
    std::string key = reader.text(kMaxNameBytes);
    const auto type = reader.number<uint32_t>();
    if (key == kAlignmentKey && type != kUint32) reader.refuse("has a {} that is no u32", key);
    GgufValue value = reader.value(type);
    if (key.empty() || !header.metadata.emplace(std::move(key), std::move(value)).second)
      reader.refuse("has a metadata key that is empty or there twice");
  }
  std::set<std::string> names;
  for (uint64_t i = 0; i < num_tensors; ++i) {
    header.tensors.push_back(read_tensor(reader));
    const std::string& name = header.tensors.back().name;
    if (!names.insert(name).second) reader.refuse("names tensor \"{}\" twice", name);
  }
  place_tensors(reader, static_cast<int64_t>(file.size()), header);
  restore_shapes(reader, header);
  return header;
}

}  // namespace sora
