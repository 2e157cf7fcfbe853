// The attention kernels for GPUs, the device's best, the one for all and the one in 8 bits, beside
// libtorch's, at token counts of Wan's clips; registered only where there is a GPU. 4 L S K H
// operations a call, by the clock of the host around calls that are waited for.
#include <chrono>

#include "kernels/cuda/attention.h"
#include "kernels/cuda/attention_int8.h"
#include "kernels/cuda/gpu.h"
#include "tests/kernels/bench_cases.h"

namespace sora::kernels {
namespace {

constexpr int kHeads = 12, kHeadWidth = 128, kCalls = 8;

template <typename Attend>
void register_on_gpu(const std::string& whose, int64_t tokens, Attend attend) {
  const std::string name = fmt::format("attention_cuda/{}/1.3B/{}x{}", whose, tokens, tokens);
  benchmark::RegisterBenchmark(
      name.c_str(),
      [=](benchmark::State& state) {
        const c10::InferenceMode inference;
        const auto heads = [=] { return random_bf16({1, tokens, kHeads, kHeadWidth}).cuda(); };
        const at::Tensor q = heads(), k = heads(), v = heads();
        const auto wait = [] { at::detail::getCUDAHooks().deviceSynchronize(0); };
        attend(q, k, v);
        wait();
        for (auto _ : state) {
          const auto begin = std::chrono::steady_clock::now();
          for (int i = 0; i < kCalls; ++i) attend(q, k, v);
          wait();
          state.SetIterationTime(
              std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() /
              kCalls);
        }
        const double flop =
            4.0 * static_cast<double>(tokens) * static_cast<double>(tokens) * kHeadWidth * kHeads;
        state.counters["TFLOP/s"] =
            benchmark::Counter(flop / 1e12, benchmark::Counter::kIsIterationInvariantRate);
      })
      ->Unit(benchmark::kMillisecond)
      ->UseManualTime();
}

const bool registered = [] {
  if (!cuda::gpu_is_available() || !cuda::has_own_kernels_for({at::kCUDA, 0})) return false;
  for (const int64_t tokens : {4096, 16384, 32760, 75600}) {
    register_on_gpu("ours", tokens, [](const auto& q, const auto& k, const auto& v) {
      return cuda::attention(q, k, v, {});
    });
    register_on_gpu("ours, mma.sync", tokens, [](const auto& q, const auto& k, const auto& v) {
      return cuda::attention(q, k, v, {}, cuda::Instructions::Ampere);
    });
    if (cuda::int8_attention_runs_here()) {  // with its quantisation
      register_on_gpu("ours, int8", tokens, [](const auto& q, const auto& k, const auto& v) {
        return cuda::attention_int8(q, k, v, {});
      });
    }
    register_on_gpu("ATen", tokens, [](const auto& q, const auto& k, const auto& v) {
      return at::scaled_dot_product_attention(q.transpose(1, 2), k.transpose(1, 2),
                                              v.transpose(1, 2));
    });
  }
  return true;
}();

}  // namespace
}  // namespace sora::kernels
