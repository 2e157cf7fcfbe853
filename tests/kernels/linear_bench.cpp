// Matrix products of a transformer block, with and without what follows them.
#include "kernels/linear.h"

#include "kernels/feed_forward.h"
#include "kernels/linear_int8.h"
#include "tests/kernels/bench_cases.h"

namespace sora::kernels {
namespace {

constexpr double kBytes = 2;  // of a bf16 number

void register_linear(const BenchModel& model, int64_t tokens) {
  const int64_t width = model.width();
  const double n = static_cast<double>(tokens), d = static_cast<double>(width);
  const Work work = {2 * n * d * d, kBytes * (2 * n * d + d * d)};
  const std::string shape = fmt::format("{}/{}x{}x{}", model.name, tokens, width, width);
  bench("linear/ours/" + shape, work, [=] {
    const at::Tensor weight = random_weight(width, width);
    return
        [weight, packed = pack(weight), x = random_bf16({tokens, width}),
         bias = random_bf16({width})] { return linear(x, weight, bias, Activation::None, packed); };
  });
  bench("linear/ATen/" + shape, work, [=] {
    return [x = in_aten_type(random_bf16({tokens, width})),
            w = in_aten_type(random_weight(width, width)),
            b = in_aten_type(random_bf16({width}))] { return at::linear(x, w, b); };
  });
}

// Against the same products in bf16, by ATen.
void register_linear_int8(const BenchModel& model, int64_t tokens) {
  const int64_t width = model.width(), inner = model.ffn_dim;
  const double n = static_cast<double>(tokens), d = static_cast<double>(width),
               m = static_cast<double>(inner);
  const auto input = [=] { return random_bf16({tokens, width}); };
  const Work one = {2 * n * d * d, 2 * kBytes * n * d + d * d, [=] {
                      const at::Tensor x = input(), w = random_weight(width, width);
                      return psnr(linear_int8(x, quantise(w), {}),
                                  at::linear(in_aten_type(x), in_aten_type(w)));
                    }};
  const std::string shape = fmt::format("{}/{}x{}x{}", model.name, tokens, width, width);
  bench("linear_int8/ours/" + shape, one, [=] {
    return
        [x = input(), w = quantise(random_weight(width, width))] { return linear_int8(x, w, {}); };
  });
  bench("linear_int8/ATen/" + shape, one, [=] {
    return [x = in_aten_type(input()), w = in_aten_type(random_weight(width, width))] {
      return at::linear(x, w);
    };
  });

  const auto ours = [](const at::Tensor& x, const Int8Weight& w1, const Int8Weight& w2) {
    return feed_forward_int8(x, w1, {}, w2, {}, Activation::GeluTanh);
  };
  const auto theirs = [](const at::Tensor& x, const at::Tensor& w1, const at::Tensor& w2) {
    return at::linear(at::gelu(at::linear(x, w1), "tanh"), w2);
  };
  const auto first = [=] { return random_weight(inner, width); };
  const auto second = [=] { return random_weight(width, inner); };
  const Work two = {4 * n * d * m, 2 * kBytes * n * d + 2 * d * m, [=] {
                      const at::Tensor x = input(), w1 = first(), w2 = second();
                      return psnr(ours(x, quantise(w1), quantise(w2)),
                                  theirs(in_aten_type(x), in_aten_type(w1), in_aten_type(w2)));
                    }};
  const std::string both = fmt::format("{}/{}x{}x{}", model.name, tokens, width, inner);
  bench("feed_forward_int8/ours/" + both, two, [=] {
    return [=, x = input(), w1 = quantise(first()), w2 = quantise(second())] {
      return ours(x, w1, w2);
    };
  });
  bench("feed_forward_int8/ATen/" + both, two, [=] {
    return [=, x = in_aten_type(input()), w1 = in_aten_type(first()), w2 = in_aten_type(second())] {
      return theirs(x, w1, w2);
    };
  });
}

void register_feed_forward(const BenchModel& model, int64_t tokens) {
  const int64_t width = model.width(), inner = model.ffn_dim;
  const double n = static_cast<double>(tokens), d = static_cast<double>(width),
               m = static_cast<double>(inner);
  const Work work = {4 * n * d * m, kBytes * (2 * n * d + 2 * d * m)};
  const std::string shape = fmt::format("{}/{}x{}x{}", model.name, tokens, width, inner);
  bench("feed_forward/ours/" + shape, work, [=] {
    const at::Tensor w1 = random_weight(inner, width), w2 = random_weight(width, inner);
    const FeedForwardWeights weights = {
        w1, random_bf16({inner}), w2, random_bf16({width}), pack(w1), pack(w2)};
    return [weights, x = random_bf16({tokens, width})] {
      return feed_forward(x, weights, Activation::GeluTanh);
    };
  });
  bench("feed_forward/ATen/" + shape, work, [=] {
    return
        [x = in_aten_type(random_bf16({tokens, width})),
         w1 = in_aten_type(random_weight(inner, width)), b1 = in_aten_type(random_bf16({inner})),
         w2 = in_aten_type(random_weight(width, inner)), b2 = in_aten_type(random_bf16({width}))] {
          return at::linear(at::gelu(at::linear(x, w1, b1), "tanh"), w2, b2);
        };
  });
}

const bool kRegistered = [] {
  for (const BenchModel& model : bench_models()) {
    for (const int64_t tokens : model.tokens) {
      register_linear(model, tokens);
      register_feed_forward(model, tokens);
      register_linear_int8(model, tokens);
    }
  }
  return true;
}();

}  // namespace
}  // namespace sora::kernels
