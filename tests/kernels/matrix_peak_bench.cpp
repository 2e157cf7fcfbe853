// What one core can do at most with bf16 products: its matrix or vector unit fed from registers
// alone.
#include <cstring>

#include "tests/kernels/bench_cases.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace sora::kernels {
namespace {

constexpr int kLoops = 1 << 16;

// Tile shapes of AMX as LDTILECFG reads them (Intel SDM volume 1, chapter 18).
struct alignas(64) TileConfig {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t bytes_in_row[16] = {};
  uint8_t rows[16] = {};
};

// The system saves tiles only for a process that asked for them.
bool amx_is_granted() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return __builtin_cpu_supports("amx-bf16") != 0 &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

// Four accumulators hide the latency of the unit; 2 * 16 * 16 * 32 operations an instruction.
__attribute__((target("amx-tile,amx-bf16"))) double amx_products() {
  TileConfig config;
  for (int tile = 0; tile < 8; ++tile) {
    config.bytes_in_row[tile] = 64;
    config.rows[tile] = 16;
  }
  _tile_loadconfig(&config);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (int loop = 0; loop < kLoops; ++loop) {
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_release();
  return 4.0 * kLoops * 2 * 16 * 16 * 32;
}

// Sixteen accumulators, 2 * 32 operations an instruction.
__attribute__((target("avx512f,avx512bf16"))) double avx512_products() {
  constexpr int kAccumulators = 16;
  __m512 sums[kAccumulators] = {};
  // Unknown to the compiler, so that it computes, and each of them.
  for (__m512& sum : sums) __asm__ volatile("" : "+v"(sum));
  __m512i bits = _mm512_set1_epi32(0);
  __asm__ volatile("" : "+v"(bits));
  __m512bh x;
  std::memcpy(&x, &bits, sizeof x);
  for (int loop = 0; loop < kLoops; ++loop) {
#pragma GCC unroll 16
    for (__m512& sum : sums) sum = _mm512_dpbf16_ps(sum, x, x);
  }
  for (__m512& sum : sums) __asm__ volatile("" ::"v"(sum));
  return 1.0 * kLoops * kAccumulators * 2 * 32;
}

template <typename Products>
void register_peak(const char* unit, Products products) {
  benchmark::RegisterBenchmark(fmt::format("peak/{}", unit).c_str(), [products](
                                                                         benchmark::State& state) {
    double flop = 0;
    for (auto _ : state) flop = products();
    state.counters["flop"] = flop;
  })->Unit(benchmark::kMillisecond);
}

const bool kRegistered = [] {
  if (__builtin_cpu_supports("avx512bf16")) register_peak("AVX512-BF16", avx512_products);
  if (amx_is_granted()) register_peak("AMX-BF16", amx_products);
  return true;
}();

}  // namespace
}  // namespace sora::kernels
#endif
