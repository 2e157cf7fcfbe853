#include "lib/provenance/policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <fstream>

#include "lib/core/json_file.h"
#include "tests/error_of.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

std::vector<std::string> prompts_of(const std::string& name) {
  std::ifstream file(std::string(SORA_TEST_DATA) + "/policy/" + name);
  std::vector<std::string> prompts;
  for (std::string line; std::getline(file, line);) {
    for (size_t at = line.find("\\n"); at != line.npos; at = line.find("\\n", at))
      line.replace(at, 2, "\n");
    prompts.push_back(line);
  }
  return prompts;
}

std::vector<std::string> rules_for(const Policy& policy, const std::string& prompt,
                                   bool is_negative = false) {
  std::vector<std::string> rules;
  for (const PolicyFinding& finding : policy.check({{"prompt", prompt, is_negative}}))
    rules.push_back(finding.rule);
  return rules;
}

GenerateRequest prompt_only(const std::string& prompt) {
  GenerateRequest request;
  request.prompt = prompt;
  return request;
}

Policy toml(const std::string& text) { return Policy::from_toml(text, "test.toml"); }

TEST(Policy, RefusesNoneOfTheHarmlessPrompts) {
  const std::vector<std::string> prompts = prompts_of("harmless.txt");
  ASSERT_GE(prompts.size(), 500u);
  const Policy policy = Policy::built_in();
  for (const std::string& prompt : prompts)
    EXPECT_THAT(rules_for(policy, prompt), IsEmpty()) << prompt;
}

TEST(Policy, MissesNoneOfTheDisguises) {
  const std::vector<std::string> prompts = prompts_of("disguised.txt");
  ASSERT_GE(prompts.size(), 200u);
  const Policy policy = Policy::built_in();
  for (const std::string& prompt : prompts)
    EXPECT_FALSE(rules_for(policy, prompt).empty()) << prompt;
}

TEST(Policy, ATermIsAWholeWord) {
  const Policy policy = toml("[[rule]]\nid = 'r'\nany = ['rape', 'old flame*']");
  EXPECT_THAT(rules_for(policy, "grapes draped in rapeseed"), IsEmpty());
  EXPECT_THAT(rules_for(policy, "Rape."), testing::ElementsAre("r"));
  EXPECT_THAT(rules_for(policy, "two old flames"), testing::ElementsAre("r"));
}

TEST(Policy, ExceptionsAreTakenOutBeforeTheRuleLooks) {
  const Policy policy = toml("[[rule]]\nid = 'r'\nany = ['naked']\nexcept = ['naked mole rat*']");
  EXPECT_THAT(rules_for(policy, "a naked mole rat"), IsEmpty());
  EXPECT_THAT(rules_for(policy, "a naked mole rat and a naked man"), testing::ElementsAre("r"));
}

TEST(Policy, AllWantsOneOfEachListInOneTextOrInAllTogether) {
  const Policy policy =
      toml("[lists]\na = ['red']\n[[rule]]\nid = 'r'\nall = [['@a', 'blue'], ['ball']]");
  EXPECT_THAT(rules_for(policy, "a red apple"), IsEmpty());
  EXPECT_THAT(rules_for(policy, "a blue ball"), testing::ElementsAre("r"));
  const auto findings =
      policy.check({{"cards[0].text", "it is red"}, {"cards[1].text", "the ball"}});
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_EQ(findings[0].field, "the texts together");
  EXPECT_THAT(policy.check({{"prompt", "it is red"}, {"negative_prompt", "the ball", true}}),
              IsEmpty());
}

TEST(Policy, ExpressionsSeeTheWordsAsTheyRead) {
  const Policy policy =
      toml("[[rule]]\nid = 'r'\nany = ['re:^draw (a|the) (cat|dog)$']\naction = 'warn'");
  EXPECT_THAT(rules_for(policy, "Draw  the -\u200b ＣＡＴ!"), testing::ElementsAre("r"));
  EXPECT_THAT(rules_for(policy, "redraw the cat"), IsEmpty());
  EXPECT_EQ(policy.check({{"prompt", "draw a dog"}})[0].action, PolicyAction::Warn);
}

TEST(Policy, NegativePromptsAreReadUnlessTheRuleSaysOtherwise) {
  const Policy policy = toml(
      "[[rule]]\nid = 'r'\nany = ['red']\n[[rule]]\nid = 's'\nany = ['red']\nnegative = false");
  EXPECT_THAT(rules_for(policy, "red", true), testing::ElementsAre("r"));
  EXPECT_THAT(rules_for(Policy::built_in(), "nsfw, nude, child, deformed hands", true), IsEmpty());
  EXPECT_THAT(rules_for(Policy::built_in(), "child porn", true),
              testing::ElementsAre("minors-direct"));
}

TEST(Policy, WhatIsNoPolicyIsNamedWithItsLine) {
  EXPECT_THAT(
      std::string(error_of([] { toml("[[rule]]\nid = 'r'\nany = ['x']\ncolour = 1"); }).what()),
      HasSubstr("line 4: the rule has an unknown key 'colour'"));
  EXPECT_THAT(std::string(error_of([] { toml("[[rule]]\nany = ['x']"); }).what()),
              HasSubstr("has no id"));
  EXPECT_THAT(std::string(error_of([] { toml("[[rule]]\nid = 'r'"); }).what()),
              HasSubstr("looks for nothing"));
  EXPECT_THAT(std::string(error_of([] { toml("[[rule]]\nid = 'r'\nany = ['re:(']"); }).what()),
              HasSubstr("not one that RE2 takes"));
  EXPECT_THAT(std::string(error_of([] { toml("[[rule]]\nid = 'r'\nany = ['@none']"); }).what()),
              HasSubstr("no list '@none'"));
  EXPECT_THAT(std::string(error_of([] { toml("[[rule]]\nid = 'r'\nany = ['...']"); }).what()),
              HasSubstr("has no letters"));
  EXPECT_THAT(std::string(error_of([] {
                            toml("[[rule]]\nid = 'r'\nany = ['x']\naction = 'shout'");
                          }).what()),
              HasSubstr("neither refuse nor warn"));
  EXPECT_THAT(std::string(error_of([] { toml("a = "); }).what()), HasSubstr("test.toml: line 1"));
}

TEST(Policy, LongAndHostileTextIsReadQuickly) {
  const Policy policy = Policy::built_in();
  std::string text;
  while (text.size() < 64 * 1024) text += "(a+)*\xF0\x9F\x98\x80 n.a.k.e \u0336\u0301 1980 ***";
  EXPECT_THAT(rules_for(policy, text), IsEmpty());
  rules_for(policy, std::string(64 * 1024, '\xFF'));
}

class PolicyInForce : public testing::Test {
 protected:
  PolicyInForce() {
    setenv("SORA_POLICY", (scratch_.path() / "policy.toml").c_str(), 1);
    request_.operation = prompt_only("a red ball");
  }
  ~PolicyInForce() override { unsetenv("SORA_POLICY"); }

  void write_policy(const std::string& text) {
    std::ofstream(scratch_.path() / "policy.toml") << "audit = '" << audit().string() << "'\n"
                                                   << text;
  }
  std::filesystem::path audit() const { return scratch_.path() / "audit.jsonl"; }

  ScratchDirectory scratch_;
  Request request_;
  Observer observer_;
};

TEST_F(PolicyInForce, ARefusalNamesRuleAndFieldAndLeavesALine) {
  write_policy("[[rule]]\nid = 'no-balls'\nany = ['ball']\nreason = 'balls'");
  try {
    enforce_policy(request_, observer_);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Refused);
    EXPECT_THAT(error.what(), HasSubstr("'no-balls'"));
    EXPECT_THAT(error.what(), HasSubstr("arguments.prompt"));
  }
  const nlohmann::json line = nlohmann::json::parse(read_file(audit()));
  EXPECT_EQ(line["rule"], "no-balls");
  EXPECT_EQ(line["policy_sha256"], Policy::in_force().sha256());
  EXPECT_THAT(line.dump(), testing::Not(HasSubstr("red ball")));
}

TEST_F(PolicyInForce, AFileThatIsChangedIsReadAgain) {
  write_policy("[[rule]]\nid = 'r'\nany = ['cat']");
  EXPECT_NO_THROW(enforce_policy(request_, observer_));
  EXPECT_NO_THROW(enforce_policy(request_, observer_));
  write_policy("[[rule]]\nid = 'r'\nany = ['red']");
  EXPECT_THROW(enforce_policy(request_, observer_), Error);
}

TEST_F(PolicyInForce, ReferencesAreReadAsTheTextEncoderReadsThem) {
  write_policy("[[rule]]\nid = 'r'\nany = ['ball']");
  request_.operation = prompt_only("a red &#98;&#97;ll");
  EXPECT_THROW(enforce_policy(request_, observer_), Error);
}

TEST_F(PolicyInForce, NamesOfFilesAndModelsAreNoText) {
  write_policy("[[rule]]\nid = 'r'\nany = ['cat', 'nano']");
  GenerateRequest request = prompt_only("a red ball");
  request.image = "cat/cat.png";
  request_.operation = request;
  EXPECT_NO_THROW(enforce_policy(request_, observer_));
}

TEST_F(PolicyInForce, AMissingFileIsAnError) {
  EXPECT_THROW(enforce_policy(request_, observer_), Error);
}

}  // namespace
}  // namespace sora
