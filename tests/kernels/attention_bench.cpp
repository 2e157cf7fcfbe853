// Attention of the tokens to themselves, and to a text: 512 rows where padding is kept, 48 where it
// is collapsed into one row with a bias. In 8 bits the counterpart is our own bf16 form for the
// same processor, not ATen.
#include "kernels/attention.h"

#include "kernels/cpu/flash_attention.h"
#include "tests/kernels/bench_cases.h"

namespace sora::kernels {
namespace {

void register_attention(const char* op, const BenchModel& model, int64_t tokens, int64_t our_keys,
                        int64_t their_keys) {
  const auto work_of = [&](int64_t keys) {
    const double n = static_cast<double>(tokens), s = static_cast<double>(keys),
                 d = static_cast<double>(model.width());
    return Work{4 * n * s * d, 4 * d * (n + s)};
  };
  const auto heads = [=](int64_t length) {
    return random_bf16({1, length, model.heads, model.head_width});
  };
  const bool collapsed = our_keys != their_keys;
  bench(fmt::format("{}/ours/{}/{}x{}", op, model.name, tokens, our_keys), work_of(our_keys), [=] {
    const AttentionTerms terms = {.bias_BS = collapsed ? at::zeros({1, our_keys}) : at::Tensor()};
    return [terms, q = heads(tokens), k = heads(our_keys), v = heads(our_keys)] {
      return attention(q, k, v, terms);
    };
  });
  bench(fmt::format("{}/ATen/{}/{}x{}", op, model.name, tokens, their_keys), work_of(their_keys),
        [=] {
          const auto theirs = [=](int64_t length) {
            return in_aten_type(heads(length)).transpose(1, 2);
          };
          return [q = theirs(tokens), k = theirs(their_keys), v = theirs(their_keys)] {
            return at::scaled_dot_product_attention(q, k, v).transpose(1, 2).contiguous();
          };
        });
}

// The form for VNNI, whatever the processor gains by it, beside the bf16 form without a tile unit.
void register_attention_int8(const BenchModel& model, int64_t tokens) {
  if (!cpu::has(cpu::Processor::Avx512Bf16)) return;
  const double n = static_cast<double>(tokens), d = static_cast<double>(model.width());
  const auto heads = [=](int64_t length) {
    return random_bf16({1, length, model.heads, model.head_width});
  };
  const Work work = {4 * n * n * d, 8 * d * n, [=] {
                       const at::Tensor q = heads(64), k = heads(tokens), v = heads(tokens);
                       return psnr(cpu::flash_attention_int8(q, k, v, {}), attention(q, k, v));
                     }};
  const std::string shape = fmt::format("{}/{}x{}", model.name, tokens, tokens);
  const auto with = [=](auto call) {
    return [=] {
      return
          [call, q = heads(tokens), k = heads(tokens), v = heads(tokens)] { return call(q, k, v); };
    };
  };
  bench("self_attention_int8/ours/" + shape, work,
        with([](const auto& q, const auto& k, const auto& v) {
          return cpu::flash_attention_int8(q, k, v, {});
        }));
  const cpu::Processor bf16 = std::min(cpu::bf16_processor(), cpu::Processor::Avx512Bf16);
  bench("self_attention_int8/ATen/" + shape, work,
        with([bf16](const auto& q, const auto& k, const auto& v) {
          return cpu::flash_attention(q, k, v, {}, bf16);
        }));
}

// The width of 1.3B in narrower heads, which other models have.
const std::vector<BenchModel>& narrow_heads() {
  static const std::vector<BenchModel> models = {{"heads of 32", 48, 32, 0, {4096}},
                                                 {"heads of 64", 24, 64, 0, {4096}}};
  return models;
}

const bool kRegistered = [] {
  for (const BenchModel& model : narrow_heads())
    register_attention("self_attention", model, model.tokens[0], model.tokens[0], model.tokens[0]);
  constexpr int64_t kPadded = 512, kCollapsed = 48;
  for (const BenchModel& model : bench_models()) {
    for (const int64_t tokens : model.tokens) {
      register_attention("self_attention", model, tokens, tokens, tokens);
      register_attention_int8(model, tokens);
      register_attention("cross_attention", model, tokens, kCollapsed, kPadded);
    }
  }
  return true;
}();

}  // namespace
}  // namespace sora::kernels
