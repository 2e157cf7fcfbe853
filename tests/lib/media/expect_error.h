// A call must throw this kind of error, with these words in its sentence.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/error_of.h"

namespace sora {

template <typename Call>
void expect_error(ErrorKind kind, const std::string& part, Call&& call) {
  SCOPED_TRACE("expected: " + part);
  const Error error = error_of(call);
  EXPECT_EQ(error.kind(), kind) << error.what();
  EXPECT_THAT(error.what(), ::testing::HasSubstr(part));
}

}  // namespace sora
