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

}  // namespace
}  // namespace sora
