// The row-wise kernels, bound by memory, against their definitions in ATen.
#include "kernels/gated_residual.h"
#include "kernels/layer_norm.h"
#include "kernels/rms_norm.h"
#include "kernels/rms_norm_silu.h"
#include "tests/kernels/bench_cases.h"

namespace sora::kernels {
namespace {

constexpr double kEps = 1e-6;
constexpr double kBytesOfState = 4;  // the hidden state between blocks is f32
constexpr double kBytesOfHalf = 2;

struct Inputs {
  at::Tensor state, half, gate, bias, ones, row;
  Rotation rotation;
};

Inputs make_inputs(const BenchModel& model, int64_t tokens) {
  const int64_t width = model.width();
  const at::Tensor angle = at::rand({tokens, model.head_width / 2});
  // The norm changes x in place again and again: a weight other than 1 would drive x out of range.
  return {at::randn({1, tokens, width}),
          random_bf16({1, tokens, width}),
          at::randn({1, width}),
          at::randn({1, width}),
          at::ones({width}),
          at::zeros({tokens}, at::kLong),
          {angle.cos(), angle.sin()}};
}

void register_row_ops(const BenchModel& model, int64_t tokens) {
  const double numbers = static_cast<double>(tokens * model.width());
  const auto pair = [&](const char* op, double bytes, auto ours, auto definition) {
    const auto with = [=](auto call) {
      return [=] { return [call, in = make_inputs(model, tokens)] { call(in); }; };
    };
    const std::string shape = fmt::format("{}/{}x{}", model.name, tokens, model.width());
    bench(fmt::format("{}/ours/{}", op, shape), {0, bytes * numbers}, with(ours));
    bench(fmt::format("{}/ATen/{}", op, shape), {0, bytes * numbers}, with(definition));
  };
  pair(
      "layer_norm", kBytesOfState + kBytesOfHalf,
      [](const Inputs& in) { layer_norm(in.state, in.gate, in.bias, in.row, kEps, at::kBFloat16); },
      [](const Inputs& in) {
        reference::layer_norm(in.state, in.gate, in.bias, in.row, kEps, at::kBFloat16);
      });
  pair(
      "gated_residual", 2 * kBytesOfState + kBytesOfHalf,
      [](const Inputs& in) { gated_residual_(in.state, in.half, in.gate, in.row); },
      [](const Inputs& in) { reference::gated_residual_(in.state, in.half, in.gate, in.row); });
  pair(
      "rms_norm_rotate", 2 * kBytesOfHalf,
      [](const Inputs& in) { rms_norm_rotate_(in.half, in.ones, kEps, in.rotation); },
      [](const Inputs& in) { reference::rms_norm_rotate_(in.half, in.ones, kEps, in.rotation); });
}

void register_rms_norm_silu(const char* model, int64_t pixels) {
  constexpr int64_t kChannels = 96;
  const auto with = [=](auto call) {
    return [=] {
      const at::Tensor x = random_bf16({pixels, kChannels});
      return
          [call, x, y = at::empty_like(x), scale = at::randn({kChannels})] { call(x, scale, y); };
    };
  };
  const Work work = {0, 2 * kBytesOfHalf * static_cast<double>(pixels * kChannels)};
  const std::string shape = fmt::format("{}/{}x{}", model, pixels, kChannels);
  bench("rms_norm_silu/ours/" + shape, work,
        with([](const auto& x, const auto& scale, const auto& y) {
          rms_norm_silu_out(x, scale, NormActivation::Silu, y);
        }));
  bench("rms_norm_silu/ATen/" + shape, work,
        with([](const auto& x, const auto& scale, const auto& y) {
          reference::rms_norm_silu_out(x, scale, NormActivation::Silu, y);
        }));
}

const bool kRegistered = [] {
  for (const BenchModel& model : bench_models()) register_row_ops(model, model.tokens.back());
  register_rms_norm_silu("small", 64);
  register_rms_norm_silu("VAE", 4 * 256 * 256);  // the decoder's last stage, four frames
  return true;
}();

}  // namespace
}  // namespace sora::kernels
