#include "lib/core/observer.h"

#include <gtest/gtest.h>

#include "lib/core/error.h"

namespace sora {
namespace {

class Stopping final : public Observer {
 public:
  bool stop_requested() const override { return true; }
};

TEST(Observer, TheBaseClassIgnoresEverythingAndNeverStops) {
  Observer observer;
  observer.begin(Phase::Load, 3);
  observer.advance(Phase::Load, 1);
  observer.notice("made at 16 frames a second and interpolated to 24");
  EXPECT_FALSE(observer.stop_requested());
  EXPECT_NO_THROW(check_stop(observer));
}

TEST(Observer, CheckStopThrowsCancelledWhenAskedToStop) {
  try {
    check_stop(Stopping());
    FAIL() << "went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Cancelled);
    EXPECT_EQ(exit_code(error.kind()), 130);
  }
}

TEST(Observer, EveryPhaseHasAName) {
  EXPECT_EQ(to_string(Phase::Load), "load");
  EXPECT_EQ(to_string(Phase::EncodeText), "text");
  EXPECT_EQ(to_string(Phase::EncodeSource), "source");
  EXPECT_EQ(to_string(Phase::Denoise), "denoise");
  EXPECT_EQ(to_string(Phase::Decode), "decode");
  EXPECT_EQ(to_string(Phase::Write), "write");
}

}  // namespace
}  // namespace sora
