// The inputs with which a fuzz target runs as an ordinary test: the seeds, their beginnings,
// damaged copies, the same each time; and with SORA_FUZZ_SECONDS set, for so long, copies that are
// changed in ways of a number that is printed. SORA_FUZZ_NUMBER names it for another run of the
// same.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "lib/core/json_file.h"
#include "tests/cost_of.h"

namespace sora {

// A copy with some bytes flipped, set, moved, cut out or put in; sizes and offsets of files are
// what goes wrong most.
inline std::string changed(std::string text, std::mt19937& random) {
  const auto place = [&](size_t count) { return count == 0 ? 0 : random() % count; };
  for (uint32_t n = random() % 6 + 1; n > 0 && !text.empty(); --n) {
    const size_t at = place(text.size()),
                 length = 1 + place(std::min<size_t>(text.size() - at, 16));
    switch (random() % 6) {
      case 0:
        text[at] = static_cast<char>(text[at] ^ (1 << random() % 8));
        break;
      case 1:
        text[at] = static_cast<char>(random());
        break;
      case 2:
        text.erase(at, length);
        break;
      case 3:
        text.insert(place(text.size()), text.substr(at, length));
        break;
      case 4:
        text.insert(at, length, static_cast<char>(random()));
        break;
      default: {
        constexpr uint32_t kNumbers[] = {0,      1,          0x7f,       0x80,      0xff,
                                         0xffff, 0x7fffffff, 0x80000000, 0xffffffff};
        const uint32_t number = kNumbers[random() % std::size(kNumbers)];
        for (size_t i = 0; i < 4 && at + i < text.size(); ++i)
          text[at + i] = static_cast<char>(number >> (24 - 8 * i));
      }
    }
  }
  return text;
}

inline void run_changed(const std::string& target, const std::vector<std::string>& seeds,
                        double seconds, const std::function<void(std::string_view)>& run) {
  const char* asked = std::getenv("SORA_FUZZ_NUMBER");
  const auto number =
      asked ? static_cast<uint32_t>(std::strtoul(asked, nullptr, 10)) : std::random_device()();
  std::printf("%s: SORA_FUZZ_NUMBER=%u\n", target.c_str(), number);
  std::fflush(stdout);
  std::mt19937 random(number);
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
  while (std::chrono::steady_clock::now() < end)
    run(changed(seeds[random() % seeds.size()], random));
}

inline void for_each_seed(const std::string& target,
                          const std::function<void(std::string_view)>& run_target) {
  constexpr size_t kMaxBeginnings = 512;
  constexpr double kMaxProcessorSeconds = 1;  // of one input
  constexpr int64_t kMaxBytes = 256 << 20;
  double most_seconds = 0;
  const auto run = [&](std::string_view bytes) {
    const double begin = processor_seconds();
    run_target(bytes);
    const double seconds = processor_seconds() - begin;
    most_seconds = std::max(most_seconds, seconds);
    EXPECT_LT(seconds, kMaxProcessorSeconds) << testing::PrintToString(bytes);
  };
  reset_peak_memory();
  const int64_t resident = memory_status("VmRSS");
  constexpr int kNumDamaged = 1000;
  std::mt19937 random(1);
  std::vector<std::string> seeds;
  for (const auto& entry : std::filesystem::directory_iterator(
           std::filesystem::path(SORA_SOURCE_DIR) / "tests/fuzz/seeds" / target)) {
    const std::string seed = read_file(entry.path());
    SCOPED_TRACE(entry.path().string());
    seeds.push_back(seed);
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
  ASSERT_FALSE(seeds.empty());
  if (const char* seconds = std::getenv("SORA_FUZZ_SECONDS"))
    run_changed(target, seeds, std::atof(seconds), run);
  std::printf("%s: at most %.3f s of processor time an input\n", target.c_str(), most_seconds);
  EXPECT_LT(memory_status("VmHWM") - resident, kMaxBytes);
}

}  // namespace sora
