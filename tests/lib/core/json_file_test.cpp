#include "lib/core/json_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "lib/core/error.h"

namespace sora {
namespace {

using ::testing::HasSubstr;
namespace fs = std::filesystem;

class JsonFile : public ::testing::Test {
 protected:
  JsonFile() : folder_(fs::temp_directory_path() / ("sora_json_" + std::to_string(::getpid()))) {
    fs::create_directories(folder_);
  }
  ~JsonFile() override { fs::remove_all(folder_); }

  fs::path write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }

  // Kind and message of the error that reading `path` throws.
  static std::pair<ErrorKind, std::string> error_of(const fs::path& path) {
    try {
      read_json_file(path);
    } catch (const Error& error) {
      return {error.kind(), error.what()};
    }
    ADD_FAILURE() << "accepted " << path;
    return {};
  }

  fs::path folder_;
};

TEST_F(JsonFile, ReadsAnObject) {
  EXPECT_EQ(read_json_file(write("a.json", R"({"steps": 20})"))["steps"], 20);
}

TEST_F(JsonFile, SaysWhereTheTextStopsBeingJson) {
  const auto [kind, message] = error_of(write("cut.json", R"({"steps": )"));
  EXPECT_EQ(kind, ErrorKind::Input);
  EXPECT_THAT(message, HasSubstr("cut.json: is not valid JSON at byte"));
}

TEST_F(JsonFile, TellsAnAbsentFileFromOneThatIsNoFile) {
  EXPECT_EQ(error_of(folder_ / "absent.json").first, ErrorKind::NotFound);
  EXPECT_EQ(error_of(folder_).first, ErrorKind::Input);
}

TEST_F(JsonFile, DoesNotWaitForAWriterOfAPipe) {
  const fs::path pipe = folder_ / "pipe.json";
  ASSERT_EQ(::mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(error_of(pipe).first, ErrorKind::Input);
}

TEST_F(JsonFile, RefusesFilesBeyondTheLimit) {
  const fs::path path = write("long.txt", std::string(11, 'x'));
  EXPECT_EQ(read_file(path, 11).size(), 11u);
  EXPECT_THROW(read_file(path, 10), Error);
}

TEST_F(JsonFile, RefusesNestingThatWouldExhaustTheStack) {
  const std::string open(100'000, '[');
  const auto [kind, message] = error_of(write("deep.json", open));
  EXPECT_EQ(kind, ErrorKind::Input);
  EXPECT_THAT(message, HasSubstr("nests deeper than"));
}

TEST_F(JsonFile, NamesAGitLfsPointer) {
  const auto [kind, message] =
      error_of(write("config.json", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"));
  EXPECT_EQ(kind, ErrorKind::Input);
  EXPECT_THAT(message, HasSubstr("git lfs pull"));
}

TEST_F(JsonFile, RefusesNumbersBeyondADouble) {
  EXPECT_EQ(error_of(write("huge.json", R"({"scale": 1e999})")).first, ErrorKind::Input);
}

TEST(ParseJson, ReadsThePythonNumbersThatJsonLacksAsStrings) {
  const auto json = parse_json(R"({"a": -Infinity, "b": [Infinity,NaN], "c": 1})", "c.json");
  EXPECT_EQ(json["a"], "-Infinity");
  EXPECT_EQ(json["b"][0], "Infinity");
  EXPECT_EQ(json["b"][1], "NaN");
  EXPECT_EQ(json["c"], 1);
}

TEST(ParseJson, LeavesThoseNamesInsideStringsAlone) {
  const std::string text = R"({"NaN": "to -Infinity \"NaN\" and \\", "x": NaN})";
  const auto json = parse_json(text, "c.json");
  EXPECT_EQ(json["NaN"], "to -Infinity \"NaN\" and \\");
  EXPECT_EQ(json["x"], "NaN");
}

TEST(ParseJson, RefusesWhatStandsBehindAZeroByte) {
  EXPECT_THROW(parse_json(std::string_view("{}\0 more", 8), "c.json"), Error);
  EXPECT_THROW(parse_json(std::string_view("{}\0", 3), "c.json"), Error);
}

TEST(ParseJson, RefusesThemWhereNoValueMayStand) {
  for (const char* text :
       {"{NaN}", "[1 NaN]", "[-NaN]", "[NaNNaN]", "[1Infinity]", "[Infinity", "Inf"}) {
    EXPECT_THROW(parse_json(text, "c.json"), Error) << text;
  }
}

}  // namespace
}  // namespace sora
