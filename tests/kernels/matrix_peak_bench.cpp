// What one core can do at most with bf16 products: its matrix or vector unit fed from registers
// alone, and the matrix unit fed from the first-level cache. From registers it multiplies the same
// zeros again and again, at a clock that no kernel is given; the cache feeds it numbers as they
// are, as many loads as products, which is the least that a kernel does.
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
  uint16_t bytes_in_row[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

__attribute__((target("amx-tile"))) void begin_tiles() {
  static constexpr TileConfig kConfig;
  _tile_loadconfig(&kConfig);
}

// The system saves tiles only for a process that asked for them.
bool amx_is_granted() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;
  return __builtin_cpu_supports("amx-bf16") != 0 &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

#define SORA_AMX __attribute__((target("amx-tile,amx-bf16")))

// Four accumulators hide the latency of the unit; 2 * 16 * 16 * 32 operations an instruction.
constexpr double kFlopOfFour = 4.0 * 2 * 16 * 16 * 32;

SORA_AMX inline void clear_sums() {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}

SORA_AMX inline void four_products() {
  _tile_dpbf16ps(0, 4, 6);
  _tile_dpbf16ps(1, 4, 7);
  _tile_dpbf16ps(2, 5, 6);
  _tile_dpbf16ps(3, 5, 7);
}

SORA_AMX double amx_products() {
  begin_tiles();
  clear_sums();
  _tile_zero(4);
  _tile_zero(5);
  _tile_zero(6);
  _tile_zero(7);
  for (int loop = 0; loop < kLoops; ++loop) four_products();
  _tile_release();
  return kLoops * kFlopOfFour;
}

// Pieces of 32 rows by 64 bytes, as many of either operand, which lie as the unit reads them: Note
// [Tile products] in kernels/cpu/tile_product.h. Sums begin anew after some depth.
SORA_AMX double amx_products_from_cache() {
  constexpr int kPieces = 8, kPieceNumbers = 1024, kPiecesInSum = 16;
  static const at::Tensor numbers = random_bf16({2, kPieces, kPieceNumbers});
  const auto* const left = static_cast<const uint16_t*>(numbers.const_data_ptr());
  const uint16_t* const right = left + kPieces * kPieceNumbers;
  begin_tiles();
  for (int loop = 0; loop < kLoops; ++loop) {
    const uint16_t* const a = left + loop % kPieces * kPieceNumbers;
    const uint16_t* const b = right + loop % kPieces * kPieceNumbers;
    if (loop % kPiecesInSum == 0) clear_sums();
    _tile_loadd(4, a, 64);
    _tile_loadd(6, b, 128);
    _tile_loadd(7, b + 32, 128);
    _tile_loadd(5, a + kPieceNumbers / 2, 64);
    four_products();
  }
  _tile_release();
  return kLoops * kFlopOfFour;
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

// The same of f32, 2 * 16 operations an instruction.
__attribute__((target("avx512f"))) double avx512_multiply_adds() {
  constexpr int kAccumulators = 16;
  __m512 sums[kAccumulators] = {};
  for (__m512& sum : sums) __asm__ volatile("" : "+v"(sum));
  __m512 x = _mm512_setzero_ps();
  __asm__ volatile("" : "+v"(x));
  for (int loop = 0; loop < kLoops; ++loop) {
#pragma GCC unroll 16
    for (__m512& sum : sums) sum = _mm512_fmadd_ps(x, x, sum);
  }
  for (__m512& sum : sums) __asm__ volatile("" ::"v"(sum));
  return 1.0 * kLoops * kAccumulators * 2 * 16;
}

// With AVX2, 2 * 8 operations an instruction; twelve accumulators are what its registers hold
// besides operands.
__attribute__((target("avx2,fma"))) double avx2_multiply_adds() {
  constexpr int kAccumulators = 12;
  __m256 sums[kAccumulators] = {};
  for (__m256& sum : sums) __asm__ volatile("" : "+x"(sum));
  __m256 x = _mm256_setzero_ps(), y = _mm256_setzero_ps();
  __asm__ volatile("" : "+x"(x), "+x"(y));
  for (int loop = 0; loop < kLoops; ++loop) {
#pragma GCC unroll 12
    for (__m256& sum : sums) sum = _mm256_fmadd_ps(x, y, sum);
  }
  for (__m256& sum : sums) __asm__ volatile("" ::"x"(sum));
  return 1.0 * kLoops * kAccumulators * 2 * 8;
}

template <typename Products>
void register_peak(const char* what, Products products) {
  benchmark::RegisterBenchmark(fmt::format("peak/{}", what).c_str(), [products](
                                                                         benchmark::State& state) {
    double flop = 0;
    for (auto _ : state) flop = products();
    state.counters["flop"] = flop;
  })->Unit(benchmark::kMillisecond);
}

const bool kRegistered = [] {
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
    register_peak("AVX2 multiply-adds from registers", avx2_multiply_adds);
  if (__builtin_cpu_supports("avx512f"))
    register_peak("AVX-512 multiply-adds from registers", avx512_multiply_adds);
  if (__builtin_cpu_supports("avx512bf16"))
    register_peak("AVX512-BF16 from registers", avx512_products);
  if (amx_is_granted()) {
    register_peak("AMX-BF16 from registers", amx_products);
    register_peak("AMX-BF16 from cache", amx_products_from_cache);
  }
  return true;
}();

}  // namespace
}  // namespace sora::kernels
#endif
