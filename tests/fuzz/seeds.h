// The inputs with which a fuzz target runs as an ordinary test.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <string_view>

#include "lib/core/json_file.h"

namespace sora {

inline void for_each_seed(const std::string& target,
                          const std::function<void(std::string_view)>& run) {
  constexpr size_t kMaxBeginnings = 512;
  constexpr int kNumDamaged = 1000;
  std::mt19937 random(1);
  int num_seeds = 0;
  for (const auto& entry : std::filesystem::directory_iterator(
           std::filesystem::path(SORA_SOURCE_DIR) / "tests/fuzz/seeds" / target)) {
    const std::string seed = read_file(entry.path());
    SCOPED_TRACE(entry.path().string());
    ++num_seeds;
    run(seed);
    const size_t step = seed.size() / kMaxBeginnings + 1;
    for (size_t length = 0; length < seed.size(); length += step)
      run(std::string_view(seed).substr(0, length));
    for (int i = 0; i < kNumDamaged && !seed.empty(); ++i) {
      std::string damaged = seed;
      for (uint32_t n = random() % 4 + 1; n > 0; --n)
        damaged[random() % damaged.size()] = static_cast<char>(random());
      run(damaged);
    }
  }
  EXPECT_GT(num_seeds, 0);
}

}  // namespace sora
