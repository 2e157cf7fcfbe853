#include "lib/pipelines/vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sora {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const std::vector<std::string> kWorld = {"a",    "red", "ball", "moves", "left",
                                         "红色", "球",  "的",   "向左"};

TEST(Vocabulary, KnownWordsInAnyCaseAreNotReported) {
  EXPECT_THAT(unknown_words("A Red BALL, moves left.", kWorld), IsEmpty());
  EXPECT_THAT(unknown_words("红色的球向左。", kWorld), IsEmpty());
}

TEST(Vocabulary, UnknownWordsAreReportedOnceInOrder) {
  EXPECT_THAT(unknown_words("a dragon, a red dragon in Paris", kWorld),
              ElementsAre("dragon", "in", "paris"));
}

TEST(Vocabulary, RunsBetweenKnownChineseWordsAreOneWord) {
  EXPECT_THAT(unknown_words("红色的巨龙向左，巴黎", kWorld), ElementsAre("巨龙", "巴黎"));
}

TEST(Vocabulary, EmptyVocabularyKnowsEverything) {
  EXPECT_THAT(unknown_words("dragon", {}), IsEmpty());
}

}  // namespace
}  // namespace sora
