// Text encoders and tokenizers in one file, against the directories they were written from.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "lib/core/observer.h"
#include "lib/tensor_io/model_part.h"
#include "lib/tensor_io/safetensors.h"
#include "lib/text/tokenizer.h"
#include "lib/text/umt5.h"
#include "tests/error_of.h"
#include "tests/scratch_directory.h"
#include "tests/stand_in_device.h"

namespace sora {
namespace {

const std::filesystem::path kData = SORA_TEST_DATA;
const std::filesystem::path kForms = kData / "weights" / "text_encoders";

at::Tensor encode(const std::filesystem::path& path) {
  Observer observer;
  return Umt5Encoder::open(path, at::kFloat, test_device())
      .encode({{5, 9, 300, 7, 1}}, observer)[0]
      .cpu();
}

TEST(SingleFileUmt5, GivesTheDirectorysOutputExactly) {
  const c10::InferenceMode guard;
  const at::Tensor expected = encode(kData / "umt5" / "encoder" / "model");
  for (const char* name : {"comfy.safetensors", "wan.safetensors", "encoder.gguf"})
    EXPECT_TRUE(at::equal(encode(kForms / name), expected)) << name;
}

TEST(SingleFileUmt5, IsToldFromT5ByTheTableOfItsSecondBlock) {
  const std::pair<const char*, const char*> kTables[] = {
      {"comfy.safetensors", "encoder.block.1.layer.0.SelfAttention.relative_attention_bias.weight"},
      {"wan.safetensors", "blocks.1.pos_embedding.embedding.weight"},
      {"encoder.gguf", "enc.blk.1.attn_rel_b.weight"}};
  for (const auto& [file, table] : kTables) {
    const Checkpoint encoder = Checkpoint::open(kForms / file);
    EXPECT_FALSE(is_plain_t5(encoder)) << file;
    ASSERT_TRUE(encoder.has(table)) << file;
    EXPECT_TRUE(is_plain_t5(encoder.renamed([&](const std::string& name) {
      return name == table ? std::string() : name;
    }))) << file;
  }
}

TEST(SingleFileTokenizer, IsFoundInAnAllInOneCheckpoint) {
  const Checkpoint encoder = Checkpoint::open(kForms / "comfy.safetensors");
  std::vector<std::pair<std::string, at::Tensor>> tensors;
  for (const std::string& name : encoder.names()) {
    const char* module = name == "spiece_model" ? "" : "umt5xxl.transformer.";
    tensors.emplace_back(std::string("text_encoders.") + module + name, encoder.get(name));
  }
  const ScratchDirectory scratch;
  write_safetensors(scratch / "all.safetensors", tensors);
  EXPECT_TRUE(holds_tokenizer(Checkpoint::open(scratch / "all.safetensors")));
  EXPECT_EQ(Tokenizer::open(scratch / "all.safetensors").encode("A small white cat", 64).ids,
            Tokenizer::open(kForms / "comfy.safetensors").encode("A small white cat", 64).ids);
}

TEST(SingleFileTokenizer, GivesTheDirectorysIds) {
  const Tokenizer expected = Tokenizer::open(kData / "tokenizer" / "plain");
  const std::filesystem::path kFiles[] = {kData / "tokenizer" / "plain" / "spiece.model",
                                          kForms / "comfy.safetensors", kForms / "encoder.gguf"};
  for (const auto& file : kFiles) {
    const Tokenizer tokenizer = Tokenizer::open(file);
    for (const char* text : {"A small white cat runs across the snow.", "小猫在雪地上奔跑 🐶", "",
                             "  two  spaces, ｆｕｌｌ width"}) {
      EXPECT_EQ(tokenizer.encode(text, 64).ids, expected.encode(text, 64).ids) << file << text;
    }
  }
}

TEST(SingleFileTokenizer, AFileWithoutOneSaysSo) {
  const Error error = error_of([&] { Tokenizer::open(kForms / "wan.safetensors"); });
  EXPECT_EQ(error.kind(), ErrorKind::NotFound);
  EXPECT_NE(std::string(error.what()).find("--tokenizer"), std::string::npos);
}

class GgufTokenizerFault : public testing::Test {
 protected:
  std::string message_of(const std::vector<std::string>& tokens, const std::vector<double>& scores,
                         const std::vector<int64_t>& types) const {
    std::string values;
    const auto key = [&](const std::string& name, uint32_t of, uint64_t count) {
      const std::string whole = "tokenizer.ggml." + name;
      add<uint64_t>(values, whole.size());
      values += whole;
      for (const uint32_t type : {kArray, of}) add(values, type);
      add(values, count);
    };
    key("tokens", kString, tokens.size());
    for (const std::string& token : tokens) {
      add<uint64_t>(values, token.size());
      values += token;
    }
    key("scores", kFloat64, scores.size());
    for (const double score : scores) add(values, score);
    key("token_type", kInt64, types.size());
    for (const int64_t type : types) add(values, type);
    std::string file = "GGUF";
    add<uint32_t>(file, 3);
    for (const uint64_t count : {0, 3}) add(file, count);
    const auto path = scratch_.write("tokens.gguf", file + values + std::string(32, '\0'));
    const Error error = error_of([&] { Tokenizer::open(path); });
    EXPECT_EQ(error.kind(), ErrorKind::Input);
    return error.what();
  }

 private:
  static constexpr uint32_t kString = 8, kArray = 9, kInt64 = 11, kFloat64 = 12;

  template <typename T>
  static void add(std::string& bytes, T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
  }

  ScratchDirectory scratch_;
};

TEST_F(GgufTokenizerFault, IsRefusedInOneSentence) {
  using ::testing::HasSubstr;
  const std::vector<std::string> kTokens = {"<pad>", "</s>", "<unk>", "a"};
  const std::vector<double> kScores = {0, 0, 0, -1};
  const std::vector<int64_t> kTypes = {3, 3, 2, 1};
  EXPECT_THAT(message_of(kTokens, {0, 0}, kTypes), HasSubstr("not as many scores and types"));
  EXPECT_THAT(message_of(kTokens, kScores, {3}), HasSubstr("not as many scores and types"));
  EXPECT_THAT(message_of({}, {}, {}), HasSubstr("too few"));
  EXPECT_THAT(message_of({"<pad>", "</s>", "<unk>", std::string(1025, 'a')}, kScores, kTypes),
              HasSubstr("a piece of 1025 bytes"));
  EXPECT_THAT(message_of(kTokens, {0, 0, 0, std::nan("")}, kTypes), HasSubstr("without a score"));
}

}  // namespace
}  // namespace sora
