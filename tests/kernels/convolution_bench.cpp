// The convolutions that a video autoencoder's decoder spends its time in: 3x3x3, channels in and
// out alike. ATen's alone on processors where they are left to it.
#include "kernels/convolution.h"

#include <utility>

#include "tests/kernels/bench_cases.h"

namespace sora::kernels {
namespace {

constexpr double kBytes = 2;  // of a bf16 number
constexpr int64_t kTaps = 3;

// `frames` of y, channels last.
void register_convolution(const char* model, int64_t channels, int64_t frames, int64_t height,
                          int64_t width) {
  const double pixels = static_cast<double>(frames * height * width),
               taps = static_cast<double>(kTaps * kTaps * kTaps), c = static_cast<double>(channels);
  const Work work = {2 * pixels * taps * c * c, kBytes * (2 * pixels * c + taps * c * c)};
  const auto inputs = [=] {
    return std::pair(random_bf16({frames + kTaps - 1, height, width, channels}),
                     random_weight(channels, channels * kTaps * kTaps * kTaps)
                         .view({channels, channels, kTaps, kTaps, kTaps}));
  };
  const at::Tensor bias = at::zeros({channels}, at::kBFloat16);
  const std::string shape = fmt::format("{}x{}x{}x{}", channels, frames, height, width);
  if (pack_convolution(at::zeros({1, 1, 1, 1, 1}, at::kBFloat16), at::zeros({1})).defined()) {
    bench(fmt::format("convolution/ours/{}/{}", model, shape), work, [=] {
      auto [x, weight] = inputs();
      return [x = std::move(x), packed = pack_convolution(weight, bias),
              y = at::empty({frames, height, width, channels}, at::kBFloat16)] {
        convolve_out(x, packed, {1, 1}, {}, y);
      };
    });
  }
  bench(fmt::format("convolution/ATen/{}/{}", model, shape), work, [=] {
    auto [x, weight] = inputs();
    return [x = in_aten_type(x.permute({3, 0, 1, 2}).unsqueeze(0)), bias = in_aten_type(bias),
            weight = in_aten_type(weight.contiguous(at::MemoryFormat::ChannelsLast3d))] {
      return at::conv3d(x, weight, bias, 1, {0, 1, 1});
    };
  });
}

const bool kRegistered = [] {
  register_convolution("small", 32, 1, 4, 16);
  // nano at its default clip.
  register_convolution("nano", 32, 4, 64, 112);
  register_convolution("nano", 64, 4, 64, 112);
  // Wan 2.1 at 832x480, a latent frame.
  register_convolution("VAE", 384, 1, 60, 104);
  register_convolution("VAE", 192, 4, 240, 416);
  register_convolution("VAE", 96, 4, 480, 832);
  return true;
}();

}  // namespace
}  // namespace sora::kernels
