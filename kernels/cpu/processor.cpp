#include "kernels/cpu/processor.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#if defined(__x86_64__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace sora::kernels::cpu {
namespace {

#if defined(__x86_64__)
// The system saves tiles only for a process that asked for them.
bool tiles_are_granted() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM of Linux
  return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

Processor ask() {
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return Processor::Plain;
  const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  if (!avx512) return Processor::Avx2;
  if (!__builtin_cpu_supports("avx512bf16") || !__builtin_cpu_supports("avx512vnni"))
    return Processor::Avx512;
  const bool amx = __builtin_cpu_supports("amx-bf16") && __builtin_cpu_supports("amx-int8") &&
                   tiles_are_granted();
  return amx ? Processor::Amx : Processor::Avx512Bf16;
}

bool is_intel() { return __builtin_cpu_is("intel"); }
#else
Processor ask() { return Processor::Plain; }
bool is_intel() { return false; }
#endif

// The last one that the environment lets be used, to test and time the forms for older ones.
Processor allowed() {
  constexpr struct {
    const char* name;
    Processor processor;
  } kNames[] = {{"plain", Processor::Plain},
                {"avx2", Processor::Avx2},
                {"avx512", Processor::Avx512},
                {"avx512bf16", Processor::Avx512Bf16}};
  const char* const wanted = std::getenv("SORA_PROCESSOR");
  for (const auto& each : kNames) {
    if (wanted != nullptr && std::strcmp(wanted, each.name) == 0) return each.processor;
  }
  return Processor::Amx;
}

}  // namespace

Processor this_processor() {
  static const Processor processor = std::min(ask(), allowed());
  return processor;
}

Processor bf16_processor() {
  static const Processor processor = [] {
    const bool is_wished = allowed() == Processor::Avx512Bf16;
    const bool has_slow_dots = this_processor() == Processor::Avx512Bf16 && is_intel();
    return has_slow_dots && !is_wished ? Processor::Avx512 : this_processor();
  }();
  return processor;
}

bool has(Processor processor) { return processor <= this_processor(); }

bool libraries_multiply_bf16() { return has(Processor::Avx512); }

bool libraries_ignore_addresses() { return has(Processor::Avx512) && is_intel(); }

const char* name_of(Processor processor) {
  switch (processor) {
    case Processor::Plain:
      return "plain";
    case Processor::Avx2:
      return "AVX2";
    case Processor::Avx512:
      return "AVX-512";
    case Processor::Avx512Bf16:
      return "AVX512-BF16";
    case Processor::Amx:
      return "AMX";
  }
  return "";
}

}  // namespace sora::kernels::cpu
