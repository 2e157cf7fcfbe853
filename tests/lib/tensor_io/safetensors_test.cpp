// Every way in which a safetensors file can be wrong, as a file of a few bytes, and that the good
// ones are read in place. The rules are those of the safetensors library.
#include "lib/tensor_io/safetensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstring>
#include <fstream>

#include "lib/core/json_file.h"
#include "tests/error_of.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

std::string length_bytes(uint64_t length) {
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes;
}

std::string file_of(const std::string& header, const std::string& data = "") {
  return length_bytes(header.size()) + header + data;
}

class Safetensors : public ::testing::Test {
 protected:
  std::shared_ptr<const SafetensorsFile> open(const std::string& bytes) {
    return SafetensorsFile::open(scratch_.write("weights.safetensors", bytes));
  }

  // Opens bytes that must be refused as invalid input with these words, and with the file's name.
  void expect_refused(const std::string& bytes, const std::string& words) {
    const Error error = error_of([&] { open(bytes); });
    EXPECT_EQ(error.kind(), ErrorKind::Input);
    EXPECT_THAT(error.what(), HasSubstr(words));
    EXPECT_THAT(error.what(), HasSubstr("weights.safetensors"));
    EXPECT_LT(std::string(error.what()).size(), 1000u);
  }

  ScratchDirectory scratch_;
};

const std::string kTwoFloats = R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";

TEST_F(Safetensors, ReadsATensorInPlace) {
  const std::string padding(8 - kTwoFloats.size() % 8, ' ');
  const auto file = open(file_of(kTwoFloats + padding, std::string("\0\0\x80\x3f\0\0\0\xc0", 8)));
  ASSERT_EQ(file->tensors().size(), 1u);
  const at::Tensor a = file->get("a");
  EXPECT_EQ(a.scalar_type(), at::kFloat);
  EXPECT_EQ(a.const_data_ptr<float>()[0], 1.0f);
  EXPECT_EQ(a.const_data_ptr<float>()[1], -2.0f);
  EXPECT_EQ(file->get("a").const_data_ptr(), a.const_data_ptr());
}

TEST_F(Safetensors, KeepsTheMappingAliveAsLongAsATensor) {
  at::Tensor a;
  {
    const auto file = open(file_of(kTwoFloats, std::string("\0\0\x80\x3f\0\0\0\xc0", 8)));
    a = file->get("a");
  }
  EXPECT_EQ(a.sum().item<float>(), -1.0f);
}

TEST_F(Safetensors, CopiesATensorThatIsNotAligned) {
  const std::string header =
      R"({"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"F32","shape":[2],"data_offsets":[1,9]}})";
  const auto file = open(file_of(header, std::string("\x07\0\0\x80\x3f\0\0\0\xc0", 9)));
  EXPECT_EQ(file->get("a").sum().item<float>(), -1.0f);
  EXPECT_EQ(file->get("b").item<int>(), 7);
}

TEST_F(Safetensors, ReadsEveryDtype) {
  struct Case {
    const char* name;
    at::ScalarType dtype;
    int size;
  };
  for (const Case& c :
       {Case{"F64", at::kDouble, 8}, Case{"F32", at::kFloat, 4}, Case{"F16", at::kHalf, 2},
        Case{"BF16", at::kBFloat16, 2}, Case{"F8_E4M3", at::kFloat8_e4m3fn, 1},
        Case{"F8_E5M2", at::kFloat8_e5m2, 1}, Case{"I64", at::kLong, 8}, Case{"I32", at::kInt, 4},
        Case{"I16", at::kShort, 2}, Case{"I8", at::kChar, 1}, Case{"U8", at::kByte, 1},
        Case{"BOOL", at::kBool, 1}}) {
    const std::string header = fmt::format(
        R"({{"t":{{"dtype":"{}","shape":[1,1],"data_offsets":[0,{}]}}}})", c.name, c.size);
    const auto file = open(file_of(header, std::string(c.size, '\0')));
    EXPECT_EQ(file->get("t").scalar_type(), c.dtype) << c.name;
    EXPECT_EQ(file->get("t").to(at::kDouble).item<double>(), 0.0) << c.name;
  }
}

TEST_F(Safetensors, AcceptsScalarsEmptyTensorsNoTensorsAndMetadata) {
  const auto scalar =
      open(file_of(R"({"s":{"dtype":"I64","shape":[],"data_offsets":[0,8]}})", length_bytes(5)));
  EXPECT_EQ(scalar->get("s").dim(), 0);
  EXPECT_EQ(scalar->get("s").item<int64_t>(), 5);
  const auto empty = open(file_of(R"({"e":{"dtype":"F32","shape":[3,0,2],"data_offsets":[0,0]}})"));
  EXPECT_THAT(empty->get("e").sizes().vec(), ElementsAre(3, 0, 2));
  EXPECT_TRUE(open(file_of("{}"))->tensors().empty());
  EXPECT_EQ(open(file_of(R"({"__metadata__":{"format":"pt"}})"))->metadata().at("format"), "pt");
  EXPECT_TRUE(open(file_of(R"({"__metadata__":null})"))->metadata().empty());
}

TEST_F(Safetensors, ListsTensorsByTheirPositionInTheFile) {
  const auto file = open(file_of(
      R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[2,3]},"b":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}})",
      "xyz"));
  EXPECT_EQ(file->tensors()[0].name, "b");
  EXPECT_EQ(file->get("a").item<int>(), 'z');
}

TEST_F(Safetensors, RefusesAnEmptyFile) { expect_refused("", "has 0 bytes"); }
TEST_F(Safetensors, RefusesAFileShorterThanItsLengthField) {
  expect_refused("\x02\0\0", "too few");
}
TEST_F(Safetensors, RefusesAHeaderOfMoreThan25MB) {
  expect_refused(length_bytes(25'000'001) + "{}", "25000001 bytes, at most 25000000");
  expect_refused(length_bytes(~uint64_t{0}) + "{}", "18446744073709551615 bytes");
}
TEST_F(Safetensors, RefusesAHeaderThatEndsPastTheFile) {
  expect_refused(length_bytes(60) + "{}", "truncated, 58 bytes of its header");
}
TEST_F(Safetensors, RefusesAHeaderOfNoBytes) { expect_refused(length_bytes(0), "not valid JSON"); }
TEST_F(Safetensors, RefusesAHeaderThatIsNotJson) {
  expect_refused(file_of("{]"), "not valid JSON at byte 2");
}
TEST_F(Safetensors, RefusesAHeaderThatIsNotUtf8) {
  expect_refused(
      file_of("{\"\xff\":{\"dtype\":\"F32\",\"shape\":[],\"data_offsets\":[0,4]}}", "1234"),
      "not valid JSON");
}
TEST_F(Safetensors, RefusesAHeaderThatIsNotAnObject) {
  expect_refused(file_of("[]"), "not a JSON object");
  expect_refused(file_of("7"), "not a JSON object");
}
TEST_F(Safetensors, RefusesTextBehindTheHeadersObject) {
  expect_refused(file_of("{} {}"), "not valid JSON");
  expect_refused(file_of(std::string("{}\0 {}", 6)), "not valid JSON at byte 3");
}
TEST_F(Safetensors, RefusesDeepNestingAtOnce) {
  expect_refused(file_of(R"({"a":)" + std::string(5'000'000, '[')),
                 "is a list, expected an object");
  expect_refused(file_of(R"({"a":{"other":)" + std::string(5'000'000, '[')), "nests deeper than 8");
}
TEST_F(Safetensors, RefusesATensorNamedTwice) {
  const std::string a = R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  expect_refused(file_of("{" + a + "," + a + "}", "x"), "names \"a\" twice");
}
TEST_F(Safetensors, RefusesMetadataThatIsNotText) {
  expect_refused(file_of(R"({"__metadata__":{"a":1}})"), "a number in field \"a\"");
  expect_refused(file_of(R"({"__metadata__":{"a":{"b":"c"}}})"), "\"__metadata__\"");
  expect_refused(file_of(R"({"__metadata__":{"a":["b"]}})"), "\"__metadata__\"");
  expect_refused(file_of(R"({"__metadata__":{"a":"b","a":"c"}})"), "twice");
}
TEST_F(Safetensors, RefusesATensorThatIsNotAnObject) {
  expect_refused(file_of(R"({"a":3})"), "\"a\" is a number");
  expect_refused(file_of(R"({"a":null})"), "\"a\" is null");
  expect_refused(file_of(R"({"a":[]})"), "\"a\" is a list");
  expect_refused(file_of(R"({"__metadata__":[]})"), "\"__metadata__\" is a list");
}
TEST_F(Safetensors, RefusesAMissingField) {
  expect_refused(file_of(R"({"a":{"dtype":"U8","shape":[1]}})", "x"), "lacks");
  expect_refused(file_of(R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", "x"), "lacks");
  expect_refused(file_of(R"({"a":{"shape":[1],"data_offsets":[0,1]}})", "x"), "lacks");
}
TEST_F(Safetensors, RefusesAFieldOfTheWrongKind) {
  expect_refused(file_of(R"({"a":{"dtype":7,"shape":[1],"data_offsets":[0,1]}})", "x"),
                 "a number in field \"dtype\"");
  expect_refused(file_of(R"({"a":{"dtype":"U8","shape":1,"data_offsets":[0,1]}})", "x"),
                 "in field \"shape\"");
  expect_refused(file_of(R"({"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}})", "x"),
                 "a string in field");
  expect_refused(file_of(R"({"a":{"dtype":"U8","shape":[[1]],"data_offsets":[0,1]}})", "x"),
                 "a list where none");
  expect_refused(file_of(R"({"a":{"dtype":"U8","shape":{},"data_offsets":[0,1]}})", "x"),
                 "an object where none");
}
TEST_F(Safetensors, RefusesAFieldGivenTwice) {
  expect_refused(
      file_of(R"({"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}})", "x"),
      "two dtypes");
  expect_refused(
      file_of(R"({"a":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}})", "x"),
      "two shapes");
}
TEST_F(Safetensors, RefusesAnUnknownDtype) {
  expect_refused(file_of(R"({"a":{"dtype":"F4","shape":[2],"data_offsets":[0,1]}})", "x"),
                 "dtype \"F4\"");
}
TEST_F(Safetensors, RefusesNegativeFractionalAndHugeNumbers) {
  expect_refused(file_of(R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", "x"),
                 "negative");
  expect_refused(file_of(R"({"a":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}})", "x"),
                 "fraction");
  expect_refused(
      file_of(R"({"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,1]}})", "x"),
      "9223372036854775808");
  expect_refused(
      file_of(R"({"a":{"dtype":"U8","shape":[99999999999999999999],"data_offsets":[0,1]}})", "x"),
      "fraction");
}
TEST_F(Safetensors, RefusesAShapeWhoseSizeOverflows) {
  expect_refused(
      file_of(R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}})"),
      "overflows");
  expect_refused(
      file_of(R"({"a":{"dtype":"F32","shape":[4611686018427387904],"data_offsets":[0,0]}})"),
      "overflows");
}
TEST_F(Safetensors, RefusesATensorWithoutElementsWhoseStridesOverflow) {
  expect_refused(
      file_of(R"({"a":{"dtype":"U8","shape":[0,3,4611686018427387904],"data_offsets":[0,0]}})"),
      "overflows");
}
TEST_F(Safetensors, RefusesTooManyDimensions) {
  std::string shape = "1";
  for (int i = 0; i < 64; ++i) shape += ",1";
  expect_refused(
      file_of(R"({"a":{"dtype":"U8","shape":[)" + shape + R"(],"data_offsets":[0,1]}})", "x"),
      "64 dimensions");
}
TEST_F(Safetensors, RefusesOffsetsThatDisagreeWithTheShape) {
  expect_refused(file_of(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "1234"),
                 "need 8");
  expect_refused(file_of(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}})", "1234"),
                 "need 4");
  expect_refused(file_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})", "x"),
                 "1 data_offsets");
  expect_refused(file_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,1]}})", "x"),
                 "3 data_offsets");
}
TEST_F(Safetensors, RefusesOffsetsPastTheEnd) {
  expect_refused(file_of(kTwoFloats, "12345"), "truncated, 3 bytes are missing");
}
TEST_F(Safetensors, RefusesTensorsThatShareBytes) {
  expect_refused(
      file_of(
          R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}})",
          "123456"),
      "overlaps");
  expect_refused(
      file_of(
          R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}})",
          "1234"),
      "overlaps");
}
TEST_F(Safetensors, RefusesAHoleBetweenTensors) {
  expect_refused(
      file_of(
          R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[3,5]}})",
          "12345"),
      "nobody owns");
  expect_refused(file_of(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", "xy"),
                 "nobody owns");
}
TEST_F(Safetensors, RefusesBytesBehindTheLastTensor) {
  expect_refused(file_of(kTwoFloats, "12345678PK"), "2 bytes behind");
  expect_refused(file_of("{}", "x"), "1 bytes behind");
}
TEST_F(Safetensors, RefusesBooleansThatAreNeitherTrueNorFalse) {
  const auto file = open(file_of(R"({"a":{"dtype":"BOOL","shape":[2],"data_offsets":[0,2]}})",
                                 std::string("\1\2", 2)));
  EXPECT_THAT(error_of([&] { file->get("a"); }).what(), HasSubstr("0 and 1"));
}
TEST_F(Safetensors, SaysWhatItFoundInsteadOfASafetensorsFile) {
  expect_refused("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 123\n",
                 "git lfs pull");
  expect_refused("PK\x03\x04 archive/data.pkl", "pickle");
  expect_refused("\x80\x02}q\x01.", "pickle");
  expect_refused("GGUF\3\0\0\0", "GGUF");
  expect_refused("<!DOCTYPE html><html>Sign in</html>", "web page");
}
TEST_F(Safetensors, EscapesControlCharactersOfNames) {
  const Error error = error_of([&] { open(file_of(R"({"a\u001b[31m":{"dtype":"U8"}})")); });
  EXPECT_EQ(std::string(error.what()).find('\x1b'), std::string::npos);
}
TEST_F(Safetensors, RefusesADirectoryAFifoAndAnAbsentFile) {
  EXPECT_EQ(error_of([&] { SafetensorsFile::open(scratch_.path()); }).kind(), ErrorKind::Input);
  EXPECT_EQ(error_of([&] { SafetensorsFile::open(scratch_ / "none.safetensors"); }).kind(),
            ErrorKind::NotFound);
  ASSERT_EQ(::mkfifo((scratch_ / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(error_of([&] { SafetensorsFile::open(scratch_ / "fifo"); }).kind(), ErrorKind::Input);
}
TEST_F(Safetensors, NoticesAFileThatWasShortenedWhileOpen) {
  const auto file = open(file_of(kTwoFloats, "12345678"));
  std::filesystem::resize_file(scratch_ / "weights.safetensors", 20);
  EXPECT_THAT(error_of([&] { file->get("a"); }).what(), HasSubstr("changed by another program"));
}

class WriteSafetensors : public Safetensors {};

TEST_F(WriteSafetensors, ReadsBackWhatWasWritten) {
  const at::Tensor a = at::randn({3, 5}).t();
  const at::Tensor b = at::randn({7}).to(at::kBFloat16);
  const at::Tensor c = at::arange(4, at::kLong).reshape({2, 2});
  const std::filesystem::path path = scratch_ / "out.safetensors";
  write_safetensors(
      path, {{"b", b}, {"a", a}, {"c", c}, {"e", at::empty({0, 2})}, {"s", at::full({}, 2.5)}},
      {{"format", "pt"}, {"prompt", "a \"quoted\" 红"}});
  const auto file = SafetensorsFile::open(path);
  EXPECT_TRUE(file->get("a").equal(a));
  EXPECT_TRUE(file->get("b").equal(b));
  EXPECT_TRUE(file->get("c").equal(c));
  EXPECT_EQ(file->get("s").item<float>(), 2.5f);
  EXPECT_EQ(file->metadata().at("prompt"), "a \"quoted\" 红");
  for (const TensorInfo& info : file->tensors()) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(file->get(info.name).const_data_ptr()) %
                  c10::elementSize(info.dtype),
              0u);
  }
}

TEST_F(WriteSafetensors, ReplacesAFileThatIsMappedWithoutDisturbingItsReaders) {
  const std::filesystem::path path = scratch_ / "out.safetensors";
  write_safetensors(path, {{"a", at::ones({4})}});
  const auto before = SafetensorsFile::open(path);
  write_safetensors(path, {{"a", at::zeros({1})}});
  EXPECT_EQ(before->get("a").sum().item<float>(), 4.0f);
  EXPECT_EQ(SafetensorsFile::open(path)->get("a").numel(), 1);
}

TEST_F(WriteSafetensors, LeavesNothingBehindWhenItFails) {
  EXPECT_EQ(error_of([&] {
              write_safetensors(scratch_ / "none" / "out.safetensors", {{"a", at::ones({4})}});
            }).kind(),
            ErrorKind::Io);
  std::filesystem::create_directory(scratch_ / "taken");
  scratch_.write("taken/file", "x");
  EXPECT_EQ(error_of([&] {
              write_safetensors(scratch_ / "taken", {{"a", at::ones({4})}});
            }).kind(),
            ErrorKind::Io);
  EXPECT_EQ(error_of([&] {
              write_safetensors(scratch_ / "out", {{"a", at::ones({4})}, {"a", at::ones({4})}});
            }).kind(),
            ErrorKind::Internal);
  int num_entries = 0;
  for (const auto& entry : std::filesystem::directory_iterator(scratch_.path())) {
    EXPECT_EQ(entry.path().filename(), "taken");
    ++num_entries;
  }
  EXPECT_EQ(num_entries, 1);
}

}  // namespace
}  // namespace sora
