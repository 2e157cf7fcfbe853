// Text encoders and tokenizers in one file, against the directories they were written from.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "lib/core/observer.h"
#include "lib/text/tokenizer.h"
#include "lib/text/umt5.h"
#include "tests/error_of.h"
#include "tests/stand_in_device.h"

namespace sora {
namespace {

const std::filesystem::path kData = SORA_TEST_DATA;
const std::filesystem::path kForms = kData / "weights" / "text_encoders";

at::Tensor encode(const std::filesystem::path& path) {
  Observer observer;
  return Umt5Encoder::open(path, at::kFloat, test_device()).encode({{5, 9, 300, 7, 1}}, observer)[0].cpu();
}

TEST(SingleFileUmt5, GivesTheDirectorysOutputExactly) {
  const c10::InferenceMode guard;
  const at::Tensor expected = encode(kData / "umt5" / "encoder" / "model");
  for (const char* name : {"comfy.safetensors", "wan.safetensors", "encoder.gguf"})
    EXPECT_TRUE(at::equal(encode(kForms / name), expected)) << name;
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

}  // namespace
}  // namespace sora
