// What this machine's processor can run of the kernels written for one.
#pragma once

#include <vector>

namespace sora::kernels::cpu {

// Each runs what those before it run.
// AVX512-BF16 comes with VNNI, AMX in bf16 and int8.
enum class Processor { Plain, Avx2, Avx512, Avx512Bf16, Amx };

// The last one that this machine is, or that the environment allows: SORA_PROCESSOR = plain, avx2,
// avx512 or avx512bf16. Asks the system for AMX's tiles on the first call.
Processor this_processor();
bool has(Processor processor);

// Whether the libraries behind libtorch multiply bf16 about as fast as f32 here: oneDNN from
// AVX-512 on. Elsewhere they take far longer, and f32 is multiplied instead.
bool libraries_multiply_bf16();

// Whether their products of f32 have the same bytes wherever in memory the operands lie: MKL's have
// on Intel's processors with AVX-512, and have not on AMD's. Others have not been seen.
bool libraries_ignore_addresses();

// The one whose form of bf16 products is the fastest here: this_processor(), or Avx512 where the
// dot products of AVX512-BF16 are slower than the multiply-adds of f32 that they stand for. Intel's
// processors have them for half of the rate (docs/performance.md, "Without AMX"), AMD's, by the
// tables of instructions that others published, for twice the rate. With SORA_PROCESSOR=avx512bf16
// they are taken wherever they are.
Processor bf16_processor();

const char* name_of(Processor processor);

}  // namespace sora::kernels::cpu
