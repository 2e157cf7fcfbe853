#include "lib/core/error.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

namespace sora {
namespace {

constexpr ErrorKind kAllKinds[] = {
    ErrorKind::Internal,  ErrorKind::Usage,   ErrorKind::Input,       ErrorKind::NotFound,
    ErrorKind::Memory,    ErrorKind::Io,      ErrorKind::BatchFailed, ErrorKind::Refused,
    ErrorKind::Numerical, ErrorKind::Stopped, ErrorKind::Cancelled,
};

TEST(Error, EachKindHasTheDocumentedExitCode) {
  const std::map<ErrorKind, int> documented = {
      {ErrorKind::Internal, 1},    {ErrorKind::Usage, 2},       {ErrorKind::Input, 3},
      {ErrorKind::NotFound, 4},    {ErrorKind::Memory, 5},      {ErrorKind::Io, 6},
      {ErrorKind::BatchFailed, 7}, {ErrorKind::Refused, 8},     {ErrorKind::Numerical, 9},
      {ErrorKind::Stopped, 75},    {ErrorKind::Cancelled, 130},
  };
  ASSERT_EQ(documented.size(), std::size(kAllKinds));
  for (const auto& [kind, code] : documented) EXPECT_EQ(exit_code(kind), code);
}

TEST(Error, NoExitCodeCollidesWithThoseOfShellsAndTheCommandLineLibrary) {
  for (const ErrorKind kind : kAllKinds) {
    const int code = exit_code(kind);
    EXPECT_GT(code, 0);
    EXPECT_FALSE(code >= 100 && code <= 127) << code;
  }
}

TEST(Error, EachKindHasItsOwnName) {
  std::set<std::string_view> names;
  for (const ErrorKind kind : kAllKinds) names.insert(to_string(kind));
  EXPECT_EQ(names.size(), std::size(kAllKinds));
}

TEST(Error, FailThrowsTheFormattedSentenceWithItsKind) {
  try {
    fail(ErrorKind::Input, "{}: has {} bytes, expected {}", "a.safetensors", 7, 8);
    FAIL() << "fail() returned";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Input);
    EXPECT_STREQ(error.what(), "a.safetensors: has 7 bytes, expected 8");
  }
}

}  // namespace
}  // namespace sora
