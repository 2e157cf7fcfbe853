#include "lib/text/prompt_embeds.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/error_of.h"

namespace sora {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const std::filesystem::path kData = SORA_TEST_DATA;
constexpr int64_t kMaxLength = 24;

class Notices : public Observer {
 public:
  void notice(std::string_view sentence) override { sentences.emplace_back(sentence); }
  std::vector<std::string> sentences;
};

class PromptEmbedsTest : public ::testing::Test {
 protected:
  Tokenizer tokenizer_ = Tokenizer::open(kData / "tokenizer" / "umt5_like");
  Umt5Encoder encoder_ = Umt5Encoder::open(kData / "umt5" / "encoder" / "model", at::kFloat);
  Notices notices_;
};

TEST_F(PromptEmbedsTest, HoldStatesOfTheRealTokensAndZerosBehindThem) {
  const std::vector<EncodedPrompt> prompts =
      encode_texts(tokenizer_, encoder_, {" a red ball\n", "blurry"}, kMaxLength, notices_);
  ASSERT_EQ(prompts.size(), 2u);
  const at::Tensor &positive_TD = prompts[0].embeds_TD, &negative_TD = prompts[1].embeds_TD;
  const std::vector<int64_t> ids = tokenizer_.encode("a red ball", kMaxLength).ids;
  const auto num_tokens = static_cast<int64_t>(ids.size());
  EXPECT_EQ(prompts[0].num_tokens, num_tokens);
  EXPECT_THAT(positive_TD.sizes().vec(), ElementsAre(kMaxLength, encoder_.config().width));
  EXPECT_TRUE(positive_TD.slice(0, 0, num_tokens).equal(encoder_.encode({ids}, notices_)[0]));
  EXPECT_EQ(positive_TD.slice(0, num_tokens).abs().max().item<float>(), 0);
  EXPECT_FALSE(negative_TD.equal(positive_TD));
  EXPECT_EQ(negative_TD.slice(0, prompts[1].num_tokens).abs().max().item<float>(), 0);
  EXPECT_TRUE(notices_.sentences.empty());
}

TEST_F(PromptEmbedsTest, TakeAnEmptyPrompt) {
  EXPECT_EQ(encode_texts(tokenizer_, encoder_, {""}, kMaxLength, notices_)[0].num_tokens, 1);
  EXPECT_TRUE(encode_texts(tokenizer_, encoder_, {}, kMaxLength, notices_).empty());
}

TEST_F(PromptEmbedsTest, CutALongPromptAndSaySo) {
  std::string text;
  for (int i = 0; i < 2000; ++i) text += "a red ball ";
  const EncodedPrompt prompt = encode_texts(tokenizer_, encoder_, {text}, kMaxLength, notices_)[0];
  EXPECT_EQ(prompt.num_tokens, kMaxLength);
  ASSERT_EQ(notices_.sentences.size(), 1u);
  EXPECT_THAT(notices_.sentences[0], HasSubstr("tokens too long"));
}

TEST_F(PromptEmbedsTest, RefuseAPromptOf100KB) {
  const Error error = error_of([&] {
    encode_texts(tokenizer_, encoder_, {std::string(100'000, 'a')}, kMaxLength, notices_);
  });
  EXPECT_EQ(error.kind(), ErrorKind::Usage);
  EXPECT_THAT(error.what(), HasSubstr("100000 bytes, at most 65536"));
}

}  // namespace
}  // namespace sora
