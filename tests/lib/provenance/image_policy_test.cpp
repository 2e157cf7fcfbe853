#include "lib/provenance/image_policy.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/core/json_file.h"
#include "lib/media/image.h"
#include "lib/media/video_writer.h"
#include "tests/error_of.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

using testing::HasSubstr;

// A picture with enough in it to be hashed; `kind` makes another one.
at::Tensor picture(int64_t kind) {
  const at::Tensor y = at::arange(160, at::kFloat).unsqueeze(1);
  const at::Tensor x = at::arange(240, at::kFloat).unsqueeze(0);
  const at::Tensor gray =
      (at::sin(x * x / (200.0 + 90 * kind)) + at::cos(y * (0.11 + 0.05 * kind) + x / 31)) * 60 +
      128;
  return gray.to(at::kByte).unsqueeze(2).expand({160, 240, 3}).contiguous();
}

class ImagePolicyTest : public testing::Test {
 protected:
  Policy policy(const std::string& hashes) {
    scratch_.write("list.txt", hashes);
    const std::string toml = "audit = '" + (scratch_ / "audit.jsonl").string() +
                             "'\n[images]\nhash_lists = ['list.txt']\n";
    return Policy::from_toml(toml, (scratch_ / "policy.toml").string());
  }
  std::string list() const {
    return "# seen before\n\n" + pdq_hash(picture(0)).hash.hex() + ",note\n";
  }

  ScratchDirectory scratch_;
};

TEST_F(ImagePolicyTest, RefusesASourceThatLooksLikeAListedPicture) {
  ImagePolicy images(policy(list()), "generate");
  write_png((scratch_ / "near.png").string(), (picture(0).to(at::kFloat) * 0.9 + 12).to(at::kByte));
  write_png((scratch_ / "other.png").string(), picture(3));
  EXPECT_NO_THROW(images.check_file((scratch_ / "other.png").string()));
  const Error error = error_of([&] { images.check_file((scratch_ / "near.png").string()); });
  EXPECT_EQ(error.kind(), ErrorKind::Refused);
  EXPECT_THAT(error.what(), HasSubstr("near.png"));
  EXPECT_THAT(read_file((scratch_ / "audit.jsonl").string()), HasSubstr("image-hash-list"));
}

TEST_F(ImagePolicyTest, LooksAtAFrameOfEverySecondOfAResult) {
  ImagePolicy images(policy(list()), "generate");
  images.begin_clip(Rational(4, 1));
  const at::Tensor other = picture(3);
  EXPECT_NO_THROW(images.check_frames(at::stack({other, picture(0), other})));
  EXPECT_NO_THROW(images.check_frames(at::stack({other})));
  EXPECT_EQ(error_of([&] { images.check_frames(at::stack({picture(0)})); }).kind(),
            ErrorKind::Refused);
}

TEST_F(ImagePolicyTest, LooksAtAFrameOfEverySecondOfASource) {
  const std::string path = (scratch_ / "clip.mkv").string();
  VideoWriter writer(
      {.path = path, .codec = "ffv1", .width = 240, .height = 160, .fps = Rational(4)});
  writer.write(picture(3).unsqueeze(0).repeat({4, 1, 1, 1}));
  writer.write(picture(0).unsqueeze(0).repeat({2, 1, 1, 1}));
  writer.finish();
  ImagePolicy images(policy(list()), "remix");
  const Error error = error_of([&] { images.check_file(path); });
  EXPECT_EQ(error.kind(), ErrorKind::Refused);
  EXPECT_THAT(error.what(), HasSubstr("at 1.0 s"));
}

TEST_F(ImagePolicyTest, ABadListIsNamedWithItsLine) {
  EXPECT_THAT(error_of([&] { ImagePolicy(policy("\nxyz\n"), "generate"); }).what(),
              HasSubstr("line 2"));
}

}  // namespace
}  // namespace sora
