#include "lib/core/config_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "lib/core/error.h"

namespace sora {
namespace {

using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

ConfigReader reader(const json& object) { return ConfigReader(object, "model/config.json"); }

// The message of the Error(Input) that `action` throws; empty when it throws none.
std::string input_error(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Input);
    return error.what();
  }
  return "";
}

TEST(ConfigReader, ReadsEachTypeAndConvertsOnlyIntegersToDoubles) {
  const ConfigReader config = reader({{"flag", true},
                                      {"count", 7},
                                      {"rate", 0.5},
                                      {"name", "gelu"},
                                      {"patch", {1, 2, 2}},
                                      {"pairs", {{1, 2}, {3, 4}}}});
  EXPECT_TRUE(config.get<bool>("flag"));
  EXPECT_EQ(config.get<int64_t>("count"), 7);
  EXPECT_EQ(config.get<double>("count"), 7.0);
  EXPECT_EQ(config.get<double>("rate"), 0.5);
  EXPECT_EQ(config.get<std::string>("name"), "gelu");
  EXPECT_EQ(config.get<std::vector<int64_t>>("patch"), (std::vector<int64_t>{1, 2, 2}));
  EXPECT_EQ(config.get<std::vector<std::vector<int64_t>>>("pairs")[1][0], 3);
  EXPECT_NO_THROW(config.check_all_read());
}

TEST(ConfigReader, NamesFieldFoundAndWantedOnAWrongType) {
  const ConfigReader config =
      reader({{"count", 1.5}, {"flag", 1}, {"big", UINT64_MAX}, {"list", {1, "a"}}});
  EXPECT_THAT(input_error([&] { config.get<int64_t>("count"); }),
              AllOf(HasSubstr("model/config.json"), HasSubstr("\"count\""), HasSubstr("1.5"),
                    HasSubstr("an integer")));
  EXPECT_THAT(input_error([&] { config.get<bool>("flag"); }), HasSubstr("true or false"));
  EXPECT_THAT(input_error([&] { config.get<int64_t>("big"); }), HasSubstr("an integer"));
  EXPECT_THAT(input_error([&] { config.get<std::vector<int64_t>>("list"); }), HasSubstr("a list"));
}

TEST(ConfigReader, AMissingFieldIsAnErrorOnlyWithoutADefault) {
  const ConfigReader config = reader({{"absent", nullptr}});
  EXPECT_THAT(input_error([&] { config.get<int64_t>("absent"); }),
              HasSubstr("\"absent\" is missing"));
  EXPECT_THAT(input_error([&] { config.get<int64_t>("never"); }),
              HasSubstr("\"never\" is missing"));
  EXPECT_EQ(config.get<int64_t>("absent", 40), 40);
  EXPECT_EQ(config.get_optional<double>("absent"), std::nullopt);
  EXPECT_FALSE(config.has("absent"));
}

TEST(ConfigReader, NamesEveryFieldThatNothingRead) {
  const ConfigReader config = reader({{"known", 1}, {"harmless", 2}, {"novel_gate", 3}});
  config.get<int64_t>("known");
  config.ignore({"harmless"});
  EXPECT_THAT(input_error([&] { config.check_all_read(); }),
              AllOf(HasSubstr("\"novel_gate\" = 3"), Not(HasSubstr("known\" =")),
                    Not(HasSubstr("harmless"))));
}

TEST(ConfigReader, CountsUnknownFieldsBeyondTheFirstFew) {
  json object;
  for (int i = 0; i < 9; ++i) object["field_" + std::to_string(i)] = i;
  EXPECT_THAT(input_error([&] { reader(object).check_all_read(); }), HasSubstr("and 4 more"));
}

TEST(ConfigReader, FieldsOfBookkeepingNeverCountAsUnknown) {
  EXPECT_NO_THROW(
      reader({{"_class_name", "X"}, {"_diffusers_version", "0.42.1"}}).check_all_read());
}

TEST(ConfigReader, AskingWhetherAFieldIsThereDoesNotCountAsReadingIt) {
  const ConfigReader config = reader({{"gate", 1}});
  EXPECT_TRUE(config.has("gate"));
  EXPECT_THAT(input_error([&] { config.check_all_read(); }), HasSubstr("gate"));
}

TEST(ConfigReader, RequirePassesTheOneValueAndAbsence) {
  const ConfigReader config = reader({{"bias", true}});
  EXPECT_NO_THROW(config.require<bool>("bias", true));
  EXPECT_NO_THROW(config.require<bool>("absent", true));
  EXPECT_THAT(input_error([&] { config.require<bool>("bias", false); }),
              AllOf(HasSubstr("\"bias\" is true"), HasSubstr("only false is supported")));
}

TEST(ConfigReader, RecognisesTheClassOfDiffusersAndOfTransformers) {
  EXPECT_NO_THROW(reader({{"_class_name", "AutoencoderKLWan"}}).expect_class("AutoencoderKLWan"));
  EXPECT_NO_THROW(
      reader({{"architectures", {"UMT5EncoderModel"}}}).expect_class("UMT5EncoderModel"));
  EXPECT_NO_THROW(reader(json::object()).expect_class("UMT5EncoderModel"));
  EXPECT_THAT(input_error([&] {
                reader({{"_class_name", "AutoencoderKL"}}).expect_class("AutoencoderKLWan");
              }),
              HasSubstr("describes a AutoencoderKL, expected a AutoencoderKLWan"));
  EXPECT_THAT(input_error([&] {
                reader({{"architectures", {"T5Model"}}}).expect_class("UMT5EncoderModel");
              }),
              HasSubstr("T5Model"));
}

TEST(ConfigReader, ReadsNestedObjectsEachWithItsOwnCheck) {
  const ConfigReader config = reader({{"rope", {{"theta", 10000}, {"kind", "new"}}}});
  const auto rope = config.get_object("rope");
  ASSERT_TRUE(rope.has_value());
  EXPECT_EQ(rope->get<double>("theta"), 10000.0);
  EXPECT_NO_THROW(config.check_all_read());
  EXPECT_THAT(input_error([&] { rope->check_all_read(); }),
              AllOf(HasSubstr("model/config.json: rope"), HasSubstr("\"kind\" = \"new\"")));
  EXPECT_EQ(config.get_object("absent"), std::nullopt);
}

TEST(ConfigReader, RefusesWhatIsNoObject) {
  EXPECT_THAT(input_error([] { reader(json::array({1})); }), HasSubstr("expected a JSON object"));
}

TEST(ConfigReader, QuotesLongAndUnprintableValuesShortAndSafe) {
  const ConfigReader config = reader({{"count", std::string(1000, 'x')}, {"flag", "\x1b[31m"}});
  EXPECT_LT(input_error([&] { config.get<int64_t>("count"); }).size(), 200u);
  EXPECT_THAT(input_error([&] { config.get<bool>("flag"); }), Not(HasSubstr("\x1b")));
}

}  // namespace
}  // namespace sora
