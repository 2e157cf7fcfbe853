// One source, two programs. Built by scripts/fuzz, SORA_FUZZ_TARGET(name) is libFuzzer's entry; in
// the ordinary build it is a test that runs the target on every file of tests/fuzz/seeds/<name>, on
// all their beginnings, and on some thousand damaged copies, the same ones each time.
//
// A target reads any bytes and either returns or throws sora::Error of a kind that input can cause;
// whatever else happens is a bug.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "lib/core/error.h"

namespace sora {

template <typename Target>
void run_fuzz_target(Target&& target, std::string_view bytes) {
  try {
    target(bytes);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Input && error.kind() != ErrorKind::Usage) throw;
  }
}

}  // namespace sora

#ifdef SORA_FUZZING

#define SORA_FUZZ_TARGET(name)                                                         \
  static void fuzz_##name(std::string_view bytes);                                     \
  extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {            \
    ::sora::run_fuzz_target(fuzz_##name, {reinterpret_cast<const char*>(data), size}); \
    return 0;                                                                          \
  }                                                                                    \
  static void fuzz_##name(std::string_view bytes)

#else

#include <gtest/gtest.h>

#include "tests/fuzz/seeds.h"

#define SORA_FUZZ_TARGET(name)                                                               \
  static void fuzz_##name(std::string_view bytes);                                           \
  TEST(FuzzSeeds, name) {                                                                    \
    ::sora::for_each_seed(                                                                   \
        #name, [](std::string_view bytes) { ::sora::run_fuzz_target(fuzz_##name, bytes); }); \
  }                                                                                          \
  static void fuzz_##name(std::string_view bytes)

#endif
