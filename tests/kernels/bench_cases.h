// Shapes of real runs that the kernels are timed at, and how: one thread, counted in its CPU time,
// so that other work on the machine disturbs little. A benchmark is named
// "op/whose/model/shape": `ours` is the kernel, `ATen` the same mathematics in libtorch's
// operators.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <benchmark/benchmark.h>
#include <c10/core/InferenceMode.h>
#include <fmt/format.h>

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "kernels/cpu/processor.h"

namespace sora::kernels {

struct BenchModel {
  const char* name;
  int64_t heads, head_width, ffn_dim;
  std::vector<int64_t> tokens;
  int64_t width() const { return heads * head_width; }
};

// One that takes no time, for the test that the benchmarks run; nano at its default clip; Wan 2.1
// 1.3B at 256x256x5, 256x256x17, 256x256x61 and 832x480x17.
inline const std::vector<BenchModel>& bench_models() {
  static const std::vector<BenchModel> models = {{"small", 2, 32, 128, {48}},
                                                 {"nano", 4, 64, 1024, {1080}},
                                                 {"1.3B", 12, 128, 8960, {512, 1280, 4096, 7800}}};
  return models;
}

inline at::Tensor random_bf16(at::IntArrayRef shape) {
  return at::randn(shape, at::kFloat).to(at::kBFloat16);
}

// Of rows of `in` numbers, so that products with it keep the size of what they multiply.
inline at::Tensor random_weight(int64_t out, int64_t in) {
  return (at::randn({out, in}) / std::sqrt(static_cast<double>(in))).to(at::kBFloat16);
}

// Of a result, in dB; the peak is the largest magnitude of what is wanted.
inline double psnr(const at::Tensor& value, const at::Tensor& wanted) {
  const at::Tensor error = value.to(at::kDouble) - wanted.to(at::kDouble);
  const double peak = wanted.abs().max().item<double>();
  return 10 * std::log10(peak * peak / error.square().mean().item<double>());
}

// bf16, or f32 on a processor whose bf16 libtorch multiplies much more slowly: what somebody
// who uses libtorch would take.
inline at::Tensor in_aten_type(const at::Tensor& bf16) {
  return cpu::libraries_multiply_bf16() ? bf16 : bf16.to(at::kFloat);
}

struct Work {
  double flop = 0,
         bytes = 0;  // of one call: arithmetic, and memory that has to be read and written
  std::function<double()> psnr;  // of the result against the exact form, where it is another
};

// `make` sets up the inputs and returns the call to be timed.
template <typename Make>
void bench(const std::string& name, Work work, Make make) {
  benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) {
    const c10::InferenceMode inference;
    at::set_num_threads(1);
    at::manual_seed(3);
    const auto call = make();
    call();
    for (auto _ : state) call();
    state.counters["flop"] = work.flop;
    state.counters["bytes"] = work.bytes;
    state.counters["psnr"] = work.psnr ? work.psnr() : 0.0;
  })->Unit(benchmark::kMillisecond);
}

}  // namespace sora::kernels
