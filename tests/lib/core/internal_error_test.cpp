#include "lib/core/internal_error.h"

#include <gtest/gtest.h>

namespace sora {
namespace {

TEST(InternalError, IsOneSentence) {
  const std::runtime_error thrown(
      "the sizes differ\nException raised from infer_size at ExpandUtils.cpp:35\nframe #0: ...");
  EXPECT_STREQ(internal_error(thrown).what(), "internal error: the sizes differ");
  EXPECT_EQ(internal_error(thrown).kind(), ErrorKind::Internal);
  EXPECT_STREQ(internal_error(std::runtime_error("bad")).what(), "internal error: bad");
}

TEST(InternalError, OfAFileIsTheSystems) {
  try {
    static_cast<void>(std::filesystem::file_size("/nowhere/at/all"));
    FAIL();
  } catch (const std::exception& thrown) {
    EXPECT_EQ(internal_error(thrown).kind(), ErrorKind::Io);
    EXPECT_STREQ(internal_error(thrown).what(), "/nowhere/at/all: No such file or directory");
  }
}

}  // namespace
}  // namespace sora
