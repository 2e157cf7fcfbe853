// Damaged files as large as the readers take them are refused in little time and memory: whoever
// hands a file over shall not be able to stop the program with it.
#include <gtest/gtest.h>

#include <bit>
#include <cstring>
#include <functional>

#include "lib/core/json_file.h"
#include "lib/tensor_io/gguf.h"
#include "lib/tensor_io/safetensors.h"
#include "lib/tensor_io/safetensors_header.h"
#include "lib/tensor_io/shard_index.h"
#include "tests/cost_of.h"
#include "tests/error_of.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

constexpr double kMaxProcessorSeconds = 1;
constexpr int64_t kMaxBytes = 256 << 20;  // beside the file's own

// `unit` of each number, one behind the other, up to a size.
std::string repeated(size_t size, const std::function<std::string(size_t)>& unit) {
  std::string text;
  text.reserve(size);
  for (size_t i = 0; text.size() < size; ++i) text += unit(i);
  return text;
}

std::string repeated(size_t size, const std::string& unit) {
  return repeated(size, [&](size_t) { return unit; });
}

template <typename Number>
std::string bytes_of(Number number) {
  std::string bytes(sizeof number, '\0');
  std::memcpy(bytes.data(), &number, sizeof number);
  return bytes;
}

struct Case {
  const char* name;
  std::function<std::string()> text;
};

void PrintTo(const Case& each, std::ostream* out) { *out << each.name; }

std::string name_of(const testing::TestParamInfo<Case>& info) { return info.param.name; }

void expect_cheap_refusal(const std::filesystem::path& path, const std::function<void()>& open) {
  std::string sentence;
  const auto refuse = [&] { sentence = error_of(open).what(); };
  Cost cost = cost_of(refuse);
  // A processor that is shared counts waiting for memory as time.
  for (int again = 0; again < 2 && cost.processor_seconds >= kMaxProcessorSeconds; ++again)
    cost = cost_of(refuse);
  EXPECT_LT(cost.processor_seconds, kMaxProcessorSeconds) << sentence;
  EXPECT_LT(cost.peak_bytes, kMaxBytes + static_cast<int64_t>(std::filesystem::file_size(path)))
      << sentence;
}

class SafetensorsRefusal : public testing::TestWithParam<Case> {};

TEST_P(SafetensorsRefusal, CostsLittle) {
  std::string header = GetParam().text();
  header.resize(kMaxSafetensorsHeader, ' ');
  const ScratchDirectory scratch;
  const std::filesystem::path path =
      scratch.write("damaged.safetensors", bytes_of(static_cast<uint64_t>(header.size())) + header);
  expect_cheap_refusal(path, [&] { SafetensorsFile::open(path); });
}

constexpr size_t kHeader = kMaxSafetensorsHeader - 1000;

const Case kSafetensors[] = {
    {"Brackets", [] { return std::string(kHeader, '['); }},
    {"EndlessName", [] { return "{\"" + std::string(kHeader, 'a'); }},
    {"EndlessNumber",
     [] { return R"({"a":{"dtype":"F32","shape":[)" + std::string(kHeader, '9'); }},
    {"EndlessShape", [] { return R"({"a":{"dtype":"F32","shape":[)" + repeated(kHeader, "1,"); }},
    {"UnknownField", [] { return R"({"a":{"x":[)" + repeated(kHeader, "0,"); }},
    {"ManyTensors",
     [] {
       return "{" + repeated(kHeader, [](size_t i) {
                return '"' + std::to_string(i) + R"(":{"dtype":"U8","shape":[],"data_offsets":[)" +
                       std::to_string(i) + "," + std::to_string(i + 1) + "]},";
              });
     }},
    {"ManyMetadata",
     [] {
       return R"({"__metadata__":{)" +
              repeated(kHeader, [](size_t i) { return '"' + std::to_string(i) + R"(":"",)"; });
     }},
    {"OneNameForAll", [] { return "{" + repeated(kHeader, R"("a":null,)"); }},
};

INSTANTIATE_TEST_SUITE_P(OfHeaders, SafetensorsRefusal, testing::ValuesIn(kSafetensors), name_of);

class GgufRefusal : public testing::TestWithParam<Case> {};

constexpr size_t kGgufBytes = 300'000'000;
constexpr size_t kManyBytes = 10'000'000;  // of names
constexpr uint32_t kGgufU8 = 0, kGgufF32 = 6, kGgufText = 8, kGgufList = 9;

std::string gguf(uint64_t num_tensors, uint64_t num_values, const std::string& rest) {
  return "GGUF" + bytes_of(uint32_t{3}) + bytes_of(num_tensors) + bytes_of(num_values) + rest;
}

std::string gguf_text(const std::string& text) {
  return bytes_of(static_cast<uint64_t>(text.size())) + text;
}

std::string gguf_list(uint32_t type, uint64_t count) {
  return gguf_text("a") + bytes_of(kGgufList) + bytes_of(type) + bytes_of(count);
}

TEST_P(GgufRefusal, CostsLittle) {
  std::string file = GetParam().text();
  file.resize(kGgufBytes);
  const ScratchDirectory scratch;
  const std::filesystem::path path = scratch.write("damaged.gguf", file);
  file = {};
  expect_cheap_refusal(path, [&] { GgufFile::open(path); });
}

const Case kGguf[] = {
    {"ListOfBytes", [] { return gguf(0, 2, gguf_list(kGgufU8, kGgufBytes - 100)); }},
    {"ListOfFloats", [] { return gguf(0, 2, gguf_list(kGgufF32, kGgufBytes / 4 - 100)); }},
    {"ListOfTexts", [] { return gguf(0, 2, gguf_list(kGgufText, kGgufBytes / 8 - 100)); }},
    {"ManyMetadata",
     [] {
       return gguf(1, 199'998, repeated(kManyBytes, [](size_t i) {
                     return gguf_text(std::to_string(i)) + bytes_of(kGgufU8) + "a";
                   }));
     }},
    {"ManyTensors",
     [] {
       return gguf(199'999, 0, repeated(kManyBytes, [](size_t i) {
                     return gguf_text(std::to_string(i)) + bytes_of(uint32_t{0}) +
                            bytes_of(uint32_t{0}) + bytes_of(uint64_t{32} * (i < 190'000 ? i : 0));
                   }));
     }},
    {"LongTexts",
     [] {
       const std::string text = std::string(60 << 20, 'a');
       return gguf(0, 5, repeated(kGgufBytes, [&](size_t i) {
                     return gguf_text(std::to_string(i)) + bytes_of(kGgufText) + gguf_text(text);
                   }));
     }},
};

INSTANTIATE_TEST_SUITE_P(OfHeaders, GgufRefusal, testing::ValuesIn(kGguf), name_of);

class JsonRefusal : public testing::TestWithParam<Case> {};

TEST_P(JsonRefusal, CostsLittle) {
  const ScratchDirectory scratch;
  const std::filesystem::path path = scratch.write("damaged.json", GetParam().text());
  expect_cheap_refusal(path, [&] { parse_shard_index(read_file(path), path.string()); });
}

constexpr size_t kJson = kMaxJsonBytes - 1000;

const Case kJsonFiles[] = {
    {"Brackets", [] { return std::string(kJson, '['); }},
    {"Numbers", [] { return "[" + repeated(kJson, "0,"); }},
    {"Lists", [] { return "[" + repeated(kJson, "[],"); }},
    {"Objects", [] { return "[" + repeated(kJson, R"({"":0},)"); }},
    {"PythonNumbers", [] { return "[" + repeated(kJson, "NaN,"); }},
    {"EndlessText", [] { return "\"" + std::string(kJson, 'a'); }},
    {"EndlessNumber", [] { return std::string(kJson, '9'); }},
    {"Escapes", [] { return "\"" + repeated(kJson, "\\u0041"); }},
    {"ManyFiles",
     [] {
       return R"({"weight_map":{)" +
              repeated(kJson, [](size_t i) { return '"' + std::to_string(i) + R"(":"a",)"; });
     }},
};

INSTANTIATE_TEST_SUITE_P(OfFiles, JsonRefusal, testing::ValuesIn(kJsonFiles), name_of);

}  // namespace
}  // namespace sora
