// T text tokens, D width, N heads, K head width, V vocabulary.
//
// Note [Precision of UMT5]. With bf16 weights transformers computes in bf16 throughout, except that
// the norm's mean square is taken in f32 and the normalised value is rounded before the weight
// multiplies it. (Its list of modules kept in f32, "wo", acts on f16 alone.) The activation here
// rounds once where transformers rounds after each of its eight elementary steps.
#include "lib/text/umt5.h"

#include <ATen/ops/abs.h>
#include <ATen/ops/arange.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/log.h>
#include <ATen/ops/relu.h>
#include <ATen/ops/rsqrt.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/tensor.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <cmath>

#include "kernels/linear.h"
#include "lib/core/error.h"
#include "lib/text/umt5_names.h"

namespace sora {
namespace {

using at::Tensor;

// x W^T, the same at any number of threads.
Tensor project(const Tensor& x, const Tensor& weight) { return kernels::linear(x, weight, {}); }

Tensor activate(const Tensor& x, Umt5Activation activation) {
  switch (activation) {
    case Umt5Activation::Relu:
      return at::relu(x);
    case Umt5Activation::Silu:
      return at::silu(x);
    case Umt5Activation::Gelu:
      return at::gelu(x);
    case Umt5Activation::GeluTanh:
      return at::gelu(x, "tanh");
  }
  fail(ErrorKind::Internal, "UMT5 has no such activation");
}

class RmsNorm {
 public:
  RmsNorm(const Weights& weights, const Umt5Config& config)
      : weight_D_(weights.get("weight", {config.width})), epsilon_(config.epsilon) {}

  Tensor operator()(const Tensor& x_TD) const {
    const Tensor mean_square = x_TD.to(at::kFloat).square().mean(-1, /*keepdim=*/true);
    return weight_D_ * (x_TD * at::rsqrt(mean_square + epsilon_)).to(weight_D_.scalar_type());
  }

 private:
  Tensor weight_D_;
  double epsilon_;
};

// The bucket of each pair of positions, [T, T]: one each for near distances, then logarithmically
// wider ones, the first half for keys before or at the query, the second for keys behind it. The
// logarithm is torch's own in f32, because whole distances fall on the edges between buckets.
Tensor relative_buckets(int64_t num_tokens, const Umt5Config& config, at::Device device) {
  const int64_t num_per_side = config.num_buckets / 2;
  const int64_t num_exact = num_per_side / 2;
  const Tensor position =
      at::arange(num_tokens, at::TensorOptions().dtype(at::kLong).device(device));
  const Tensor offset_TT = position.unsqueeze(0) - position.unsqueeze(1);
  const Tensor distance_TT = at::abs(offset_TT);
  const double log_range =
      std::log(static_cast<double>(config.max_distance) / static_cast<double>(num_exact));
  const Tensor log_ratio_TT =
      at::log(distance_TT.to(at::kFloat) / num_exact) / log_range * (num_per_side - num_exact);
  const Tensor far_TT = (log_ratio_TT.to(at::kLong) + num_exact).clamp_max(num_per_side - 1);
  return (offset_TT > 0).to(at::kLong) * num_per_side +
         at::where(distance_TT < num_exact, distance_TT, far_TT);
}

class SelfAttention {
 public:
  SelfAttention(const Weights& weights, const Umt5Config& config)
      : num_heads_(config.num_heads),
        q_(weights["q"].get("weight", {config.num_heads * config.head_width, config.width})),
        k_(weights["k"].get("weight", {config.num_heads * config.head_width, config.width})),
        v_(weights["v"].get("weight", {config.num_heads * config.head_width, config.width})),
        o_(weights["o"].get("weight", {config.width, config.num_heads * config.head_width})),
        bias_(weights["relative_attention_bias"].get("weight",
                                                     {config.num_buckets, config.num_heads})) {}

  Tensor operator()(const Tensor& x_TD, const Tensor& buckets_TT) const {
    const Tensor bias_NTT = at::embedding(bias_, buckets_TT).permute({2, 0, 1}).contiguous();
    const Tensor out_1NTK =
        at::scaled_dot_product_attention(heads(project(x_TD, q_)), heads(project(x_TD, k_)),
                                         heads(project(x_TD, v_)), bias_NTT.unsqueeze(0),
                                         /*dropout_p=*/0.0, /*is_causal=*/false, /*scale=*/1.0);
    return project(out_1NTK.squeeze(0).transpose(0, 1).flatten(1), o_);
  }

 private:
  Tensor heads(const Tensor& x) const {
    return x.unflatten(1, {num_heads_, -1}).transpose(0, 1).unsqueeze(0);
  }

  int64_t num_heads_;
  Tensor q_, k_, v_, o_, bias_;
};

class FeedForward {
 public:
  FeedForward(const Weights& weights, const Umt5Config& config)
      : activation_(config.activation),
        wi_(weights[config.gated ? "wi_0" : "wi"].get("weight",
                                                      {config.hidden_width, config.width})),
        wo_(weights["wo"].get("weight", {config.width, config.hidden_width})) {
    if (config.gated) gate_ = weights["wi_1"].get("weight", {config.hidden_width, config.width});
  }

  Tensor operator()(const Tensor& x_TD) const {
    Tensor hidden = activate(project(x_TD, wi_), activation_);
    if (gate_.defined()) hidden = hidden * project(x_TD, gate_);
    return project(hidden, wo_);
  }

 private:
  Umt5Activation activation_;
  Tensor wi_, gate_, wo_;
};

class Block {
 public:
  Block(const Weights& weights, const Umt5Config& config)
      : norm1_(weights["layer"][0]["layer_norm"], config),
        attention_(weights["layer"][0]["SelfAttention"], config),
        norm2_(weights["layer"][1]["layer_norm"], config),
        feed_forward_(weights["layer"][1]["DenseReluDense"], config) {}

  Tensor operator()(Tensor x_TD, const Tensor& buckets_TT) const {
    x_TD = x_TD + attention_(norm1_(x_TD), buckets_TT);
    return x_TD + feed_forward_(norm2_(x_TD));
  }

 private:
  RmsNorm norm1_;
  SelfAttention attention_;
  RmsNorm norm2_;
  FeedForward feed_forward_;
};

// transformers ties the two names and writes the first; others have written the second, or both.
Tensor embeddings(const Weights& weights, const Umt5Config& config,
                  const std::vector<int64_t>& ids) {
  const Weights encoder = weights["encoder"];
  const int64_t shape[] = {config.vocab_size, config.width};
  const bool second = encoder.has("embed_tokens.weight");
  if (second && weights.has("shared.weight")) encoder.get_rows("embed_tokens.weight", shape, {});
  return second && !weights.has("shared.weight")
             ? encoder.get_rows("embed_tokens.weight", shape, ids)
             : weights.get_rows("shared.weight", shape, ids);
}

// Every tensor's name and shape, at no cost: on the meta device nothing is read or converted.
void check_weights(const Umt5Config& config, const std::shared_ptr<const Checkpoint>& checkpoint,
                   at::ScalarType dtype) {
  const Weights weights(checkpoint, dtype, at::kMeta);
  embeddings(weights, config, {});
  for (int64_t i = 0; i < config.num_layers; ++i) Block(weights["encoder"]["block"][i], config);
  RmsNorm(weights["encoder"]["final_layer_norm"], config);
  weights.check_all_used();
}

}  // namespace

Umt5Encoder Umt5Encoder::open(const std::filesystem::path& path, at::ScalarType dtype,
                              at::Device device) {
  Checkpoint stored = Checkpoint::open(path);
  if (std::filesystem::is_directory(path)) {
    const ConfigReader reader = ConfigReader::open(path / "config.json");
    reader.expect_class("UMT5EncoderModel");
    return Umt5Encoder(Umt5Config::read(reader), std::make_shared<Checkpoint>(std::move(stored)),
                       dtype, device);
  }
  const auto checkpoint = std::make_shared<Checkpoint>(with_umt5_names(stored));
  const ConfigReader reader(umt5_config_from_shapes(*checkpoint), path.string());
  return Umt5Encoder(Umt5Config::read(reader), checkpoint, dtype, device);
}

Umt5Encoder::Umt5Encoder(const Umt5Config& config, std::shared_ptr<const Checkpoint> checkpoint,
                         at::ScalarType dtype, at::Device device)
    : config_(config), weights_(checkpoint, dtype, device) {
  check_weights(config, checkpoint, dtype);
}

Tensor Umt5Encoder::embed(const std::vector<int64_t>& ids) const {
  for (const int64_t id : ids) {
    if (id < 0 || id >= config_.vocab_size) {
      fail(ErrorKind::Input,
           "token {} is beyond the text encoder's vocabulary of {}; does the tokenizer belong to "
           "it?",
           id, config_.vocab_size);
    }
  }
  return embeddings(weights_, config_, ids);
}

std::vector<Tensor> Umt5Encoder::encode(const std::vector<std::vector<int64_t>>& ids,
                                        Observer& observer) const {
  std::vector<Tensor> x_TD;
  std::vector<Tensor> buckets_TT;
  for (const std::vector<int64_t>& list : ids) {
    x_TD.push_back(embed(list));
    buckets_TT.push_back(
        relative_buckets(static_cast<int64_t>(list.size()), config_, weights_.device()));
  }
  observer.begin(Phase::EncodeText, config_.num_layers);
  const Weights encoder = weights_["encoder"];
  for (int64_t i = 0; i < config_.num_layers; ++i) {
    check_stop(observer);
    const Block block(encoder["block"][i], config_);
    for (size_t n = 0; n < x_TD.size(); ++n) x_TD[n] = block(x_TD[n], buckets_TT[n]);
    encoder["block"][i].forget_pages();
    observer.advance(Phase::EncodeText, i + 1);
  }
  const RmsNorm final_norm(encoder["final_layer_norm"], config_);
  for (Tensor& x : x_TD) x = final_norm(x);
  return x_TD;
}

}  // namespace sora
