// Event based, because a header may have 25 MB: a document tree of it would take ten times as much
// memory, and nested brackets would be kept before anyone could refuse them.
#include "lib/tensor_io/safetensors_header.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>

#include "lib/core/error.h"
#include "lib/tensor_io/dtype.h"

namespace sora {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 8;
constexpr int64_t kMaxValues =
    500'000;  // names, numbers and texts; the largest Wan models have some 20,000
constexpr size_t kMaxRank = 64;  // of torch's iterators

// A name in a message: cut short, escaped, quoted.
std::string escaped(const std::string& name) {
  constexpr size_t kMaxLength = 200;
  const std::string cut = name.size() > kMaxLength ? name.substr(0, kMaxLength) + "..." : name;
  return json(cut).dump(-1, ' ', true, json::error_handler_t::replace);
}

// Collects the tensors of a header. Each event returns false to stop, after setting problem_.
class HeaderEvents final : public nlohmann::json_sax<json> {
 public:
  SafetensorsHeader header;
  std::string problem;

  bool start_object(size_t) override {
    if (!enter()) return false;
    if (depth_ == 1) return true;
    if (depth_ == 2) {
      if (entry_key_ == "__metadata__") {
        in_metadata_ = true;
      } else {
        entry_ = SafetensorsEntry{entry_key_, at::kFloat, {}, 0, 0};
        has_dtype_ = has_shape_ = false;
        offsets_.reset();
      }
      return true;
    }
    return in_unknown_field() || stop("has an object where none is expected");
  }

  bool key(string_t& name) override {
    if (!count()) return false;
    if (depth_ == 1) {
      entry_key_ = name;
      if (!seen_.insert(name).second) {
        return refuse(fmt::format("names {} twice", escaped(name)));
      }
    } else if (depth_ == 2) {
      field_ = name;
      if (in_metadata_ && header.metadata.contains(name)) {
        return refuse(fmt::format("has {} twice in __metadata__", escaped(name)));
      }
    }
    return true;
  }

  bool end_object() override {
    --depth_;
    if (depth_ != 1) return true;
    if (in_metadata_) {
      in_metadata_ = false;
      return true;
    }
    if (!has_dtype_ || !has_shape_ || !offsets_) return stop("lacks dtype, shape or data_offsets");
    if (offsets_->size() != 2) return stop("has {} data_offsets, expected 2", offsets_->size());
    entry_.begin = (*offsets_)[0];
    entry_.end = (*offsets_)[1];
    header.entries.push_back(std::move(entry_));
    return true;
  }

  bool start_array(size_t) override {
    if (!enter()) return false;
    if (depth_ == 1) return refuse("is not a JSON object");
    if (depth_ == 2) return stop("is a list, expected an object");
    if (depth_ == 3 && !in_metadata_ && field_ == "shape") {
      if (has_shape_) return stop("has two shapes");
      has_shape_ = true;
      return true;
    }
    if (depth_ == 3 && !in_metadata_ && field_ == "data_offsets") {
      if (offsets_) return stop("has data_offsets twice");
      offsets_.emplace();
      return true;
    }
    return in_unknown_field() || stop("has a list where none is expected");
  }

  bool end_array() override {
    --depth_;
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (!count()) return false;
    if (depth_ == 3 && !in_metadata_ && (field_ == "shape" || field_ == "data_offsets")) {
      if (value > uint64_t{INT64_MAX})
        return stop("has the number {}, which no file can have", value);
      std::vector<int64_t>& list = field_ == "shape" ? entry_.shape : *offsets_;
      if (list.size() >= kMaxRank) return stop("has more than {} dimensions", kMaxRank);
      list.push_back(static_cast<int64_t>(value));
      return true;
    }
    return scalar("a number");
  }

  bool string(string_t& value) override {
    if (depth_ == 2 && in_metadata_) {
      header.metadata.emplace(field_, std::move(value));
      return true;
    }
    if (depth_ == 2 && field_ == "dtype") {
      if (has_dtype_) return stop("has two dtypes");
      const auto dtype = dtype_from_name(value);
      if (!dtype) return stop("has dtype {}, which is not supported", escaped(value));
      entry_.dtype = *dtype;
      has_dtype_ = true;
      return true;
    }
    return scalar("a string");
  }

  bool null() override {
    if (depth_ == 1 && entry_key_ == "__metadata__") return true;
    return scalar("null");
  }
  bool boolean(bool) override { return scalar("true or false"); }
  bool number_integer(number_integer_t) override { return scalar("a negative number"); }
  bool number_float(number_float_t, const string_t&) override { return scalar("a fraction"); }
  bool binary(binary_t&) override { return scalar("binary data"); }

  bool parse_error(size_t position, const std::string&, const json::exception&) override {
    return refuse(fmt::format("is not valid JSON at byte {}", position));
  }

 private:
  bool enter() {
    if (!count()) return false;
    if (++depth_ <= kMaxDepth) return true;
    return refuse(fmt::format("nests deeper than {} levels", kMaxDepth));
  }

  // The format lets a tensor have further fields, of any kind.
  bool in_unknown_field() const {
    return !in_metadata_ && field_ != "dtype" && field_ != "shape" && field_ != "data_offsets";
  }

  bool count() {
    return ++num_values_ <= kMaxValues ||
           refuse(fmt::format("has more than {} values", kMaxValues));
  }

  bool scalar(std::string_view found) {
    if (!count()) return false;
    if (depth_ == 0) return refuse("is not a JSON object");
    if (depth_ >= 2 && in_unknown_field()) return true;
    if (depth_ == 1) return stop("is {}, expected an object", found);
    return stop("has {} in field {}", found, escaped(field_));
  }

  template <typename... Args>
  bool stop(fmt::format_string<Args...> format, Args&&... args) {
    return refuse(fmt::format("{} {}", escaped(entry_key_),
                              fmt::format(format, std::forward<Args>(args)...)));
  }

  bool refuse(std::string sentence) {
    if (problem.empty()) problem = std::move(sentence);
    return false;
  }

  int depth_ = 0;
  int64_t num_values_ = 0;
  std::string entry_key_;
  std::string field_;
  bool in_metadata_ = false;
  SafetensorsEntry entry_{};
  bool has_dtype_ = false;
  bool has_shape_ = false;
  std::optional<std::vector<int64_t>> offsets_;
  std::unordered_set<std::string> seen_;
};

// The bytes of a tensor, empty where they do not fit in 63 bits. The strides must fit too, and in a
// tensor without elements they are those of its other dimensions.
std::optional<int64_t> num_bytes(const SafetensorsEntry& entry) {
  int64_t total = static_cast<int64_t>(c10::elementSize(entry.dtype));
  int64_t stride = total;
  bool overflow = false;
  for (const int64_t size : entry.shape) {
    overflow |= __builtin_mul_overflow(stride, std::max<int64_t>(size, 1), &stride);
    total *= overflow ? 1 : size;
  }
  if (overflow) return std::nullopt;
  return total;
}

}  // namespace

SafetensorsHeader parse_safetensors_header(std::string_view text, int64_t num_data_bytes,
                                           const std::string& description) {
  // The parser takes a zero byte for the end, and whatever stands behind it would go unseen.
  if (const size_t zero = text.find('\0'); zero != text.npos) {
    fail(ErrorKind::Input, "{}: safetensors header is not valid JSON at byte {}", description,
         zero + 1);
  }
  // Nor may a byte order mark stand before the object, which the parser would skip.
  if (text.starts_with("\xef\xbb\xbf")) {
    fail(ErrorKind::Input, "{}: safetensors header is not valid JSON at byte 1, a byte order mark",
         description);
  }
  HeaderEvents events;
  if (!json::sax_parse(text.begin(), text.end(), &events) || !events.problem.empty()) {
    fail(ErrorKind::Input, "{}: safetensors header {}", description, events.problem);
  }
  SafetensorsHeader header = std::move(events.header);
  std::stable_sort(header.entries.begin(), header.entries.end(), [](const auto& a, const auto& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });

  int64_t position = 0;
  for (const SafetensorsEntry& entry : header.entries) {
    const auto size = num_bytes(entry);
    if (!size) {
      fail(ErrorKind::Input, "{}: tensor {} has a shape whose size overflows", description,
           escaped(entry.name));
    }
    if (entry.end < entry.begin || entry.end - entry.begin != *size) {
      fail(ErrorKind::Input,
           "{}: tensor {} occupies bytes [{}, {}), but its shape and dtype {} need {}", description,
           escaped(entry.name), entry.begin, entry.end, dtype_name(entry.dtype), *size);
    }
    if (entry.begin != position) {
      fail(ErrorKind::Input, "{}: tensor {} begins at byte {}, expected {}: {}", description,
           escaped(entry.name), entry.begin, position,
           entry.begin < position ? "it overlaps the one before" : "nobody owns the bytes between");
    }
    position = entry.end;
  }
  if (position > num_data_bytes) {
    fail(ErrorKind::Input,
         "{}: is truncated, {} bytes are missing (the tensors need {}, the file has {}); download "
         "or copy it again",
         description, position - num_data_bytes, position, num_data_bytes);
  }
  if (position < num_data_bytes) {
    fail(ErrorKind::Input, "{}: has {} bytes behind its last tensor, expected none", description,
         num_data_bytes - position);
  }
  return header;
}

}  // namespace sora
