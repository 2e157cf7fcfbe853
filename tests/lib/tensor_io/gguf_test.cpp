#include "lib/tensor_io/gguf.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <functional>

#include "lib/tensor_io/checkpoint.h"
#include "lib/tensor_io/safetensors.h"
#include "tests/error_of.h"
#include "tests/lib/tensor_io/gguf_bytes.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

const fs::path kForms = fs::path(SORA_TEST_DATA) / "weights";

using Bytes = GgufBytes;
constexpr uint32_t kF32 = 0, kQ4_0 = 2, kString = 8, kArray = 9, kU32 = 4;

TEST(Gguf, ExpandsEveryFormatAsTheGgufPackageDoes) {
  const Checkpoint file = Checkpoint::open(kForms / "gguf" / "formats.gguf");
  const Checkpoint expected = Checkpoint::open(kForms / "gguf" / "formats.safetensors");
  EXPECT_EQ(file.names(), expected.names());
  for (const std::string& name : file.names()) {
    const auto packed = file.packed(name);
    const at::Tensor values = packed ? packed->all(at::kFloat) : file.get(name).to(at::kFloat);
    ASSERT_EQ(values.sizes(), expected.get(name).sizes()) << name;
    EXPECT_LE((values - expected.get(name)).abs().max().item<float>(), 1e-6) << name;
    if (packed) {
      EXPECT_TRUE(at::equal(packed->rows(1, 2, at::kFloat), values.slice(0, 1, 2))) << name;
    }
  }
}

TEST(Gguf, WhatIsPackedHereIsNoFurtherAwayThanTheFormatAllows) {
  // Largest error of a block of 32 normal values, in parts of their range.
  const struct {
    const char* name;
    float error;
  } kFormats[] = {{"Q8_0", 0.5f / 127}, {"Q4_K", 0.06f}};
  const at::Tensor values = at::sin(at::arange(4 * 256).to(at::kFloat) * 1.7f) * 3 + 0.5f;
  for (const auto& format : kFormats) {
    const BlockFormat& blocks = *find_block_format(std::string_view(format.name));
    std::vector<uint8_t> bytes(static_cast<size_t>(blocks.num_bytes));
    std::vector<float> back(static_cast<size_t>(blocks.num_values));
    for (int64_t at = 0; at < values.numel(); at += blocks.num_values) {
      const float* in = values.const_data_ptr<float>() + at;
      blocks.pack(in, bytes.data());
      blocks.expand(bytes.data(), back.data());
      for (size_t i = 0; i < back.size(); ++i)
        EXPECT_NEAR(back[i], in[i], format.error * 7 * 1.01) << format.name << " " << i;
    }
  }
}

TEST(Gguf, PacksConstantsAndZeros) {
  for (const char* name : {"Q8_0", "Q4_K"}) {
    const BlockFormat& blocks = *find_block_format(std::string_view(name));
    for (const float constant : {0.0f, 2.5f, -2.5f}) {
      const std::vector<float> in(static_cast<size_t>(blocks.num_values), constant);
      std::vector<float> back(in.size());
      std::vector<uint8_t> bytes(static_cast<size_t>(blocks.num_bytes));
      blocks.pack(in.data(), bytes.data());
      blocks.expand(bytes.data(), back.data());
      for (const float value : back) EXPECT_NEAR(value, constant, 0.02) << name;
    }
  }
}

TEST(Gguf, TakesFiveDimensionsAndTheShapeThatComfyKeepsApart) {
  const std::string five = Bytes().head(1, 0).tensor("a", {2, 2, 1, 3, 5}, kF32, 0).data(240).str();
  EXPECT_EQ(parse_gguf_header(five, "x").tensors[0].shape, (std::vector<int64_t>{5, 3, 1, 2, 2}));
  const auto file = GgufFile::open(kForms / "gguf" / "transformer.gguf");
  for (const TensorInfo& info : file->tensors()) {
    if (info.name == "patch_embedding.weight") {
      EXPECT_EQ(info.shape, (std::vector<int64_t>{128, 16, 1, 2, 2}));
      EXPECT_EQ(file->get(info.name).sizes(), at::IntArrayRef(info.shape));
    }
  }
}

struct BadFile {
  const char* title;
  std::string bytes;
  const char* words;
};

std::vector<BadFile> bad_files() {
  constexpr uint64_t kHuge = uint64_t{1} << 62;
  const auto one = [](uint32_t type, std::vector<uint64_t> sides, uint64_t offset, size_t size) {
    return Bytes().head(1, 0).tensor("a", std::move(sides), type, offset).data(size).str();
  };
  const auto value = [](const std::function<void(Bytes&)>& write) {
    Bytes bytes;
    bytes.head(0, 1).text("key");
    write(bytes);
    return bytes.data(0).str();
  };
  return {
      {"NoMagic", "GGUX" + Bytes().head(0, 0).str().substr(4), "does not begin with GGUF"},
      {"Empty", "GGUF", "truncated"},
      {"VersionOne", Bytes().head(0, 0, 1).str(), "version 1"},
      {"BigEndian", Bytes().head(0, 0, 0x03000000).str(), "big-endian"},
      {"CountsCut", Bytes().raw("GGUF").u32(3).number<uint8_t>(1).str(), "truncated"},
      {"TensorsBeyondFile", Bytes().head(kHuge, 0).str(), "no room for"},
      {"ValuesBeyondFile", Bytes().head(0, kHuge).str(), "no room for"},
      {"CountTimesSizeOverflows", Bytes().head(UINT64_MAX / 4, 0).data(64).str(), "no room for"},
      {"KeyBeyondFile", Bytes().head(0, 1).u64(40000).data(32).str(), "truncated"},
      {"KeyTooLong", Bytes().head(0, 1).u64(kHuge).data(32).str(), "at most"},
      {"KeyNotUtf8", Bytes().head(0, 1).text("\xff\xfe").u32(kU32).u32(1).data(0).str(), "UTF-8"},
      {"KeyEmpty", Bytes().head(0, 1).text("").u32(kU32).u32(1).data(0).str(), "empty"},
      {"KeyTwice",
       Bytes().head(0, 2).text("k").u32(kU32).u32(1).text("k").u32(kU32).u32(1).data(0).str(),
       "there twice"},
      {"UnknownValueType", value([](Bytes& b) { b.u32(99).u64(0); }), "type 99"},
      {"StringBeyondFile", value([](Bytes& b) { b.u32(kString).u64(1000); }), "truncated"},
      {"ListBeyondFile", value([](Bytes& b) { b.u32(kArray).u32(kU32).u64(kHuge); }), "no room"},
      {"ListOfStringsBeyondFile", value([](Bytes& b) { b.u32(kArray).u32(kString).u64(1 << 20); }),
       "no room"},
      {"ListOfLists", value([](Bytes& b) { b.u32(kArray).u32(kArray).u64(1).u64(0); }),
       "list of values of type 9"},
      {"ListOfUnknown", value([](Bytes& b) { b.u32(kArray).u32(77).u64(1).u64(0); }), "type 77"},
      {"NumberBeyondInt64", value([](Bytes& b) { b.u32(10).u64(UINT64_MAX); }), "no file can mean"},
      {"AlignmentZero", Bytes().head(0, 1).text("general.alignment").u32(kU32).u32(0).data(0).str(),
       "alignment"},
      {"AlignmentNoPowerOfTwo",
       Bytes().head(0, 1).text("general.alignment").u32(kU32).u32(48).data(0).str(), "alignment"},
      {"AlignmentHuge",
       Bytes().head(0, 1).text("general.alignment").u32(kU32).u32(1u << 31).data(0).str(),
       "alignment"},
      {"AlignmentText",
       Bytes().head(0, 1).text("general.alignment").u32(kString).text("32").data(0).str(),
       "alignment"},
      {"SixDimensions", one(kF32, {1, 1, 1, 1, 1, 1}, 0, 4), "6 dimensions"},
      {"ManyDimensions", Bytes().head(1, 0).text("a").u32(1u << 30).data(64).str(), "dimensions"},
      {"SideBeyondInt64", one(kF32, {UINT64_MAX}, 0, 4), "side"},
      {"ProductOverflows", one(kF32, {kHuge, 16}, 0, 4), "overflows"},
      {"BytesOverflow", one(kF32, {kHuge}, 0, 4), "overflows"},
      {"StridesOfNothingOverflow", one(kF32, {kHuge, kHuge, 0}, 0, 4), "overflows"},
      {"RowNoWholeBlocks", one(kQ4_0, {33}, 0, 64), "whole blocks"},
      {"TypeThatIsNotRead", one(10, {256}, 0, 84), "GGML type Q2_K"},
      {"UnknownType", one(200, {32}, 0, 64), "GGML type 200"},
      {"EndsPastTheFile", one(kF32, {1000}, 0, 100), "the file ends before"},
      {"BeginsPastTheFile", one(kF32, {1}, 1 << 20, 32), "expected 0"},
      {"OffsetBeyondInt64", one(kF32, {1}, UINT64_MAX, 32), "at byte"},
      {"Hole", one(kF32, {1}, 32, 64), "expected 0"},
      {"Overlap",
       Bytes().head(2, 0).tensor("a", {8}, kF32, 0).tensor("b", {8}, kF32, 0).data(64).str(),
       "expected 32"},
      {"NameTwice",
       Bytes().head(2, 0).tensor("a", {8}, kF32, 0).tensor("a", {8}, kF32, 32).data(64).str(),
       "twice"},
      {"OriginalShapeOfOtherSize",
       Bytes()
           .head(1, 1)
           .text("comfy.gguf.orig_shape.a")
           .u32(kArray)
           .u32(kU32)
           .u64(1)
           .u32(9)
           .tensor("a", {8}, kF32, 0)
           .data(32)
           .str(),
       "original shape"},
      {"OriginalShapeOverflows",
       Bytes()
           .head(1, 1)
           .text("comfy.gguf.orig_shape.a")
           .u32(kArray)
           .u32(11)
           .u64(2)
           .number<int64_t>(INT64_MAX)
           .number<int64_t>(INT64_MAX)
           .tensor("a", {8}, kF32, 0)
           .data(32)
           .str(),
       "original shape"},
      {"OriginalShapeIsAText",
       Bytes()
           .head(1, 1)
           .text("comfy.gguf.orig_shape.a")
           .u32(kString)
           .text("8")
           .tensor("a", {8}, kF32, 0)
           .data(32)
           .str(),
       "original shape"},
  };
}

class BadGguf : public testing::TestWithParam<BadFile> {};

TEST_P(BadGguf, IsRefusedInOneSentence) {
  const ScratchDirectory scratch;
  const fs::path path = scratch.write("bad.gguf", GetParam().bytes);
  const Error error = error_of([&] { GgufFile::open(path); });
  EXPECT_EQ(error.kind(), ErrorKind::Input);
  EXPECT_THAT(error.what(), HasSubstr("bad.gguf"));
  EXPECT_THAT(error.what(), HasSubstr(GetParam().words));
}

INSTANTIATE_TEST_SUITE_P(Files, BadGguf, testing::ValuesIn(bad_files()),
                         [](const auto& info) { return info.param.title; });

TEST(BadGgufPrefix, EveryCutOfAValidFileIsRefused) {
  const std::string whole =
      Bytes().head(1, 1).text("k").u32(kString).text("v").tensor("a", {8}, kF32, 0).data(32).str();
  EXPECT_NO_THROW(parse_gguf_header(whole, "x"));
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_THROW(parse_gguf_header(whole.substr(0, size), "x"), Error) << size;
}

TEST(ScaledWeights, EqualTheirValuesTimesTheirScales) {
  const Checkpoint file = Checkpoint::open(kForms / "scaled" / "new.safetensors");
  const Checkpoint expected = Checkpoint::open(kForms / "scaled" / "new.values.safetensors");
  for (const std::string& name : expected.names()) {
    const auto packed = file.packed(name + ".weight");
    ASSERT_TRUE(packed) << name;
    EXPECT_TRUE(at::equal(packed->all(at::kFloat), expected.get(name))) << name;
    EXPECT_TRUE(at::equal(packed->rows(3, 5, at::kFloat), expected.get(name).slice(0, 3, 5)));
  }
  EXPECT_EQ(file.names().size(), expected.names().size());  // the markers are no tensors
}

TEST(ScaledWeights, AScaleThatDoesNotFitIsAnError) {
  const ScratchDirectory scratch;
  const fs::path path = scratch / "w.safetensors";
  write_safetensors(path, {{"a.weight", at::ones({6, 4}).to(at::kFloat8_e4m3fn)},
                           {"a.scale_weight", at::ones({5})}});
  EXPECT_THAT(error_of([&] { Checkpoint::open(path); }).what(), HasSubstr("is no scale of"));
}

// A file whose only matrix says this of itself; `metadata`: likewise for the whole file.
fs::path write_quantised(const ScratchDirectory& scratch, const std::string& said,
                         const std::map<std::string, std::string>& metadata = {}) {
  const at::Tensor bytes = at::empty({static_cast<int64_t>(said.size())}, at::kByte);
  std::memcpy(bytes.data_ptr(), said.data(), said.size());
  std::vector<std::pair<std::string, at::Tensor>> tensors = {
      {"a.weight", at::ones({6, 4}, at::kChar)}, {"a.weight_scale", at::ones({6, 1})}};
  if (!said.empty()) tensors.emplace_back("a.comfy_quant", bytes);
  write_safetensors(scratch / "w.safetensors", tensors, metadata);
  return scratch / "w.safetensors";
}

TEST(ScaledWeights, WhatIsNotReadIsNamed) {
  const ScratchDirectory scratch;
  const std::pair<const char*, const char*> kCases[] = {
      {R"({"format": "nvfp4"})", "nvfp4"},
      {R"({"format": "int8_tensorwise", "convrot": true})", "convrot"},
      {R"({"format": "int8_tensorwise", "params": {"convrot": true}})", "convrot"},
      {R"({"format": "int8_tensorwise", "zero_point": 3})", "zero_point"},
  };
  for (const auto& [said, words] : kCases) {
    EXPECT_THAT(error_of([&] { Checkpoint::open(write_quantised(scratch, said)); }).what(),
                HasSubstr(words));
    const std::map<std::string, std::string> metadata = {
        {"_quantization_metadata", fmt::format(R"({{"layers": {{"a": {}}}}})", said)}};
    EXPECT_THAT(error_of([&] { Checkpoint::open(write_quantised(scratch, "", metadata)); }).what(),
                HasSubstr(words));
  }
  EXPECT_NO_THROW(Checkpoint::open(write_quantised(
      scratch,
      R"({"format": "int8_tensorwise", "convrot": false, "group_size": 4, "params": {}})")));
}

}  // namespace
}  // namespace sora
