#include "lib/media/pdq.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "lib/core/json_file.h"
#include "tests/error_of.h"

namespace sora {
namespace {

// The same pictures as scripts/reference/pdq_vectors.py draws.
at::Tensor picture(int64_t height, int64_t width, int64_t kind) {
  at::Tensor frame = at::empty({height, width, 3}, at::kByte);
  auto* pixel = frame.mutable_data_ptr<uint8_t>();
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      for (int64_t c = 0; c < 3; ++c) {
        const int64_t square = (x * x * (kind + 1) + y * y * 3 + c * 4000) / 97 % 512;
        const int64_t product = (x * y * (2 * kind + 1) + 13 * x + 1000 * c) / 61 % 512;
        const int64_t values[] = {square, product, square + product, x * 5 + y * 3 * kind + 40 * c};
        const int64_t value = values[kind % 4] % 512;
        *pixel++ = static_cast<uint8_t>(value < 256 ? value : 511 - value);
      }
    }
  }
  return frame;
}

TEST(Pdq, AgreesWithThePdqhashPackage) {
  const nlohmann::json rows =
      nlohmann::json::parse(read_file(std::string(SORA_TEST_DATA) + "/policy/pdq.json"));
  ASSERT_GT(rows.size(), 40u);
  for (const nlohmann::json& row : rows) {
    const PdqResult result = pdq_hash(picture(row["height"], row["width"], row["kind"]));
    EXPECT_EQ(result.quality, row["quality"]) << row;
    EXPECT_EQ(result.hash.hex(), row["hash"]) << row;
  }
}

TEST(Pdq, HexGoesThereAndBack) {
  const PdqHash hash = pdq_hash(picture(64, 64, 2)).hash;
  EXPECT_EQ(PdqHash::from_hex(hash.hex()), hash);
  EXPECT_EQ(hash.distance(hash), 0);
  EXPECT_EQ(error_of([] { PdqHash::from_hex("12"); }).kind(), ErrorKind::Input);
  EXPECT_EQ(error_of([] { PdqHash::from_hex(std::string(64, 'g')); }).kind(), ErrorKind::Input);
}

TEST(Pdq, ANearCopyIsNearAndAnotherPictureFar) {
  const at::Tensor frame = picture(240, 416, 0);
  const PdqHash hash = pdq_hash(frame).hash;
  const at::Tensor brighter = (frame.to(at::kFloat) * 0.9 + 20).clamp(0, 255).to(at::kByte);
  EXPECT_LE(hash.distance(pdq_hash(brighter).hash), 10);
  EXPECT_GE(hash.distance(pdq_hash(picture(240, 416, 1)).hash), 80);
}

}  // namespace
}  // namespace sora
