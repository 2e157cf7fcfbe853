// Against the ids that transformers gives 200 texts, raw and cleaned: tests/data/tokenizer.
#include "lib/text/tokenizer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "lib/core/json_file.h"
#include "lib/text/gguf_tokenizer.h"
#include "tests/error_of.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const fs::path kData = fs::path(SORA_TEST_DATA) / "tokenizer";
constexpr int64_t kMaxLength = 512;

class TokenizerFixture : public ::testing::TestWithParam<std::string> {
 protected:
  void expect_reference_ids(const Tokenizer& tokenizer) {
    const json fixture = read_json_file(kData / (GetParam() + ".json"));
    ASSERT_EQ(fixture.at("texts").size(), 200u);
    for (const json& entry : fixture["texts"]) {
      const auto text = entry.at("text").get<std::string>();
      const auto ids = entry.at("ids").get<std::vector<int64_t>>();
      EXPECT_EQ(tokenizer.encode(text, kMaxLength).ids, ids) << text;
      const auto clean = entry.at("clean").get<std::string>();
      EXPECT_EQ(tokenizer.encode(clean, kMaxLength).ids, entry.value("clean_ids", ids)) << clean;
    }
    EXPECT_EQ(tokenizer.vocabulary_size(), fixture.at("vocabulary").get<int64_t>());
  }
};

TEST_P(TokenizerFixture, GivesTransformersIdsFromTokenizerJson) {
  ScratchDirectory scratch;
  for (const char* name : {"tokenizer.json", "tokenizer_config.json"})
    fs::copy(kData / GetParam() / name, scratch / name);
  expect_reference_ids(Tokenizer::open(scratch.path()));
}

TEST_P(TokenizerFixture, GivesTransformersIdsFromSentencePiecesModel) {
  ScratchDirectory scratch;
  for (const char* name : {"spiece.model", "tokenizer_config.json"})
    fs::copy(kData / GetParam() / name, scratch / name);
  expect_reference_ids(Tokenizer::open(scratch.path()));
}

TEST_P(TokenizerFixture, GivesTransformersIdsOutOfTheGgufItIsWrittenInto) {
  const ScratchDirectory scratch;
  write_gguf(scratch / "umt5.gguf", {}, gguf_tokenizer(TokenizerFiles::read(kData / GetParam())));
  expect_reference_ids(Tokenizer::open(scratch / "umt5.gguf"));
}

// The generator and the hash of fixtures/tokenizer.py.
class ManyTexts {
 public:
  explicit ManyTexts(const json& fixture)
      : pieces_(fixture.at("pieces").get<std::vector<std::string>>()) {}

  std::string next() {
    std::string text;
    for (uint64_t count = 1 + below(16); count > 0; --count) {
      if (below(5) == 0) {
        const uint64_t code = below(2) != 0 ? below(0x3000) : below(0x20000);
        if (code > 0 && (code < 0xD800 || code >= 0xE000)) {
          append_utf8(text, static_cast<uint32_t>(code));
        } else {
          text += '?';
        }
      } else {
        text += pieces_[below(pieces_.size())];
      }
      if (below(2) != 0) text += ' ';
    }
    return text;
  }

  static void hash(uint64_t& value, const std::vector<int64_t>& ids) {
    for (const int64_t id : ids) {
      for (int shift = 0; shift < 32; shift += 8)
        value = (value ^ (static_cast<uint64_t>(id) >> shift & 0xFF)) * 0x100000001B3;
    }
  }

 private:
  uint64_t below(uint64_t limit) {
    state_ = state_ * 6364136223846793005U + 1442695040888963407U;
    return (state_ >> 33) % limit;
  }

  static void append_utf8(std::string& text, uint32_t code) {
    const auto tail = [&](int shift) { text += static_cast<char>(0x80 | (code >> shift & 0x3F)); };
    if (code < 0x80) {
      text += static_cast<char>(code);
    } else if (code < 0x800) {
      text += static_cast<char>(0xC0 | code >> 6);
      tail(0);
    } else if (code < 0x10000) {
      text += static_cast<char>(0xE0 | code >> 12);
      tail(6);
      tail(0);
    } else {
      text += static_cast<char>(0xF0 | code >> 18);
      tail(12);
      tail(6);
      tail(0);
    }
  }

  std::vector<std::string> pieces_;
  uint64_t state_ = 20260101;
};

TEST_P(TokenizerFixture, GivesTransformersIdsForTenThousandTexts) {
  const json fixture = read_json_file(kData / "many_texts.json");
  const Tokenizer tokenizer = Tokenizer::open(kData / GetParam());
  ManyTexts texts(fixture);
  size_t num_texts = 0;
  for (const json& expected : fixture.at(GetParam())) {
    uint64_t value = 0xCBF29CE484222325;
    std::string group;
    for (int i = 0; i < 100; ++i, ++num_texts) {
      const std::string text = texts.next();
      group += text + "\n";
      ManyTexts::hash(value, tokenizer.encode(text, kMaxLength).ids);
    }
    ASSERT_EQ(fmt::format("{:016x}", value), expected.get<std::string>()) << group;
  }
  EXPECT_EQ(num_texts, 10'000u);
}

INSTANTIATE_TEST_SUITE_P(Vocabularies, TokenizerFixture, ::testing::Values("umt5_like", "plain"));

TEST(TokenizerLimit, CutsLongTextsAndKeepsTheEndToken) {
  const Tokenizer tokenizer = Tokenizer::open(kData / "plain");
  std::string text;
  for (int i = 0; i < 20'000; ++i) text += "a ";
  const Tokenizer::Encoding whole = tokenizer.encode(text, 100'000);
  EXPECT_EQ(whole.num_dropped, 0);
  const Tokenizer::Encoding cut = tokenizer.encode(text, 8);
  EXPECT_EQ(cut.ids.size(), 8u);
  EXPECT_EQ(cut.ids.back(), 1);
  EXPECT_EQ(cut.num_dropped, static_cast<int64_t>(whole.ids.size()) - 8);
  EXPECT_THAT(tokenizer.encode("a", 1).ids, ElementsAre(1));
  EXPECT_THAT(tokenizer.encode("", 8).ids, ElementsAre(1));
}

TEST(TokenizerLimit, RefusesTextThatIsNotUtf8AndLimitsWithoutRoom) {
  const Tokenizer tokenizer = Tokenizer::open(kData / "plain");
  EXPECT_EQ(error_of([&] { tokenizer.encode("\xff", 8); }).kind(), ErrorKind::Usage);
  EXPECT_EQ(error_of([&] { tokenizer.encode("a", 0); }).kind(), ErrorKind::Usage);
}

TEST(TokenizerLimit, TakesALongWordWithoutSpaceInReasonableTime) {
  const Tokenizer tokenizer = Tokenizer::open(kData / "umt5_like");
  EXPECT_EQ(tokenizer.encode(std::string(64 << 10, 'a'), 512).ids.size(), 512u);
}

class TokenizerFault : public ::testing::Test {
 protected:
  TokenizerFault() {
    fs::copy(kData / "plain", scratch_.path(), fs::copy_options::recursive);
    tokenizer_ = read_json_file(scratch_ / "tokenizer.json");
    config_ = read_json_file(scratch_ / "tokenizer_config.json");
  }
  std::string message() {
    scratch_.write("tokenizer.json", tokenizer_.dump());
    scratch_.write("tokenizer_config.json", config_.dump());
    const Error error = error_of([&] { Tokenizer::open(scratch_.path()); });
    EXPECT_EQ(error.kind(), ErrorKind::Input);
    return error.what();
  }
  std::string model_message(const std::string& bytes) {
    fs::remove(scratch_ / "tokenizer.json");
    scratch_.write("spiece.model", bytes);
    const Error error = error_of([&] { Tokenizer::open(scratch_.path()); });
    EXPECT_EQ(error.kind(), ErrorKind::Input);
    return error.what();
  }

  ScratchDirectory scratch_;
  json tokenizer_, config_;
};

TEST_F(TokenizerFault, SaysWhichFilesItLooksFor) {
  ScratchDirectory empty;
  const Error error = error_of([&] { Tokenizer::open(empty.path()); });
  EXPECT_EQ(error.kind(), ErrorKind::NotFound);
  EXPECT_THAT(error.what(), HasSubstr("neither tokenizer.json nor spiece.model"));
}

TEST_F(TokenizerFault, RefusesOtherModels) {
  tokenizer_["model"]["type"] = "BPE";
  EXPECT_THAT(message(), HasSubstr("\"BPE\"; only \"Unigram\""));
}

TEST_F(TokenizerFault, RefusesAVocabularyThatIsNotPiecesAndScores) {
  const json good = tokenizer_;
  tokenizer_["model"].erase("vocab");
  EXPECT_THAT(message(), HasSubstr("model.vocab"));
  tokenizer_ = good;
  tokenizer_["model"]["vocab"][7] = "piece";
  EXPECT_THAT(message(), HasSubstr("entry 7 of model.vocab"));
  tokenizer_ = good;
  tokenizer_["model"]["vocab"] = json::array({json::array({"a", 0.0})});
  EXPECT_THAT(message(), HasSubstr("too few"));
  tokenizer_ = good;
  tokenizer_["model"]["vocab"][7][0] = std::string(1025, 'a');
  EXPECT_THAT(message(), HasSubstr("a piece of 1025 bytes"));
  tokenizer_ = good;
  tokenizer_.erase("model");
  EXPECT_THAT(message(), HasSubstr("model.vocab"));
}

TEST_F(TokenizerFault, RefusesSettingsItDoesNotKnowOrCannotHonour) {
  const json good = config_;
  config_["do_lower_case"] = true;
  EXPECT_THAT(message(), HasSubstr("\"do_lower_case\""));
  config_ = good;
  config_["padding_side"] = "left";
  EXPECT_THAT(message(), HasSubstr("padding_side"));
  config_ = good;
  config_["split_special_tokens"] = true;
  EXPECT_THAT(message(), HasSubstr("split_special_tokens"));
  config_ = good;
  config_["extra_ids"] = -1;
  EXPECT_THAT(message(), HasSubstr("extra_ids"));
}

TEST_F(TokenizerFault, RefusesTokensThatAreNone) {
  const json good = config_;
  config_["eos_token"] = "";
  EXPECT_THAT(message(), HasSubstr("no end token"));
  config_ = good;
  config_["eos_token"] = 7;
  EXPECT_THAT(message(), HasSubstr("tokenizer_config.json"));
  config_ = good;
  config_["added_tokens_decoder"] = {{"x", {{"content", "a"}}}};
  EXPECT_THAT(message(), HasSubstr("the id \"x\""));
  config_["added_tokens_decoder"] = {{"3", {{"content", "a"}, {"sticky", true}}}};
  EXPECT_THAT(message(), HasSubstr("\"sticky\""));
}

TEST_F(TokenizerFault, TakesMembersOfUnexpectedTypesForAbsent) {
  for (const char* field : {"normalizer", "added_tokens"}) {
    for (const json& value : {json(7), json("x"), json::array({1, nullptr}), json{{"type", 5}}}) {
      tokenizer_[field] = value;
      scratch_.write("tokenizer.json", tokenizer_.dump());
      EXPECT_EQ(Tokenizer::open(scratch_.path()).encode("", 8).ids.size(), 1u) << field << value;
    }
  }
}

TEST_F(TokenizerFault, RefusesADamagedNormalisationTable) {
  for (const char* table : {"!", "AAAA", "/////w==", "AAQAAAAgAAA="}) {
    tokenizer_["normalizer"]["precompiled_charsmap"] = table;
    EXPECT_THAT(message(), HasSubstr("precompiled_charsmap")) << table;
  }
}

TEST_F(TokenizerFault, RefusesASentencePieceModelThatIsTruncatedOrNone) {
  const std::string good = read_file(kData / "plain" / "spiece.model");
  // One of these cuts falls between two fields.
  for (size_t cut = good.size() / 2; cut < good.size() / 2 + 12; ++cut) {
    EXPECT_THAT(model_message(good.substr(0, cut)), HasSubstr("truncated")) << cut;
  }
  EXPECT_THAT(model_message("version https://git-lfs.github.com/spec/v1\n"),
              HasSubstr("SentencePiece model"));
  EXPECT_THAT(model_message(""), HasSubstr("without pieces"));
  EXPECT_THAT(model_message(std::string(32, '\xff')), HasSubstr("not a SentencePiece model"));
}

TEST_F(TokenizerFault, RefusesPiecesThatNoRealModelHas) {
  const auto piece_of = [](const std::string& text) {
    std::string piece = "\x0a";
    piece += static_cast<char>(0x80 | (text.size() & 0x7F));
    piece += static_cast<char>(text.size() >> 7);
    piece += text;
    std::string field = "\x0a";
    field += static_cast<char>(0x80 | (piece.size() & 0x7F));
    field += static_cast<char>(piece.size() >> 7);
    return field + piece;
  };
  EXPECT_THAT(model_message(piece_of(std::string(1025, 'a'))), HasSubstr("a piece of 1025 bytes"));
  EXPECT_THAT(model_message(piece_of(std::string(200, '\xff'))), HasSubstr("a piece of 200 bytes"));
  EXPECT_THAT(model_message(piece_of(std::string(200, 'a'))), HasSubstr("truncated"));
}

TEST_F(TokenizerFault, RefusesASentencePieceModelOfAnotherAlgorithm) {
  EXPECT_THAT(model_message(std::string("\x12\x02\x18\x02", 4)),
              HasSubstr("of type 2, expected 1 (Unigram)"));
}

}  // namespace
}  // namespace sora
