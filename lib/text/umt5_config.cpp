#include "lib/text/umt5_config.h"

#include <string_view>

#include "lib/core/error.h"

namespace sora {
namespace {

struct ActivationRow {
  std::string_view name;
  Umt5Activation activation;
};

constexpr ActivationRow kActivations[] = {
    {"relu", Umt5Activation::Relu},         {"silu", Umt5Activation::Silu},
    {"swish", Umt5Activation::Silu},        {"gelu", Umt5Activation::Gelu},
    {"gelu_new", Umt5Activation::GeluTanh}, {"gelu_pytorch_tanh", Umt5Activation::GeluTanh},
};

Umt5Activation activation_of(const std::string& name, const ConfigReader& reader) {
  for (const ActivationRow& row : kActivations) {
    if (row.name == name) return row.activation;
  }
  fail(ErrorKind::Input, "{}: activation \"{}\" is unknown; known are relu, silu, gelu, gelu_new",
       reader.description(), name);
}

int64_t in_range(const ConfigReader& reader, const char* field, int64_t default_value,
                 int64_t max) {
  const int64_t value = reader.get<int64_t>(field, default_value);
  if (value < 1 || value > max) {
    fail(ErrorKind::Input, "{}: field \"{}\" is {}, expected 1 to {}", reader.description(), field,
         value, max);
  }
  return value;
}

}  // namespace

Umt5Config Umt5Config::read(const ConfigReader& reader) {
  constexpr int64_t kMaxWidth = 1 << 20;
  constexpr int64_t kMaxLayers = 1024;
  reader.require<std::string>("model_type", "umt5");
  reader.require("is_decoder", false);

  Umt5Config config;
  config.vocab_size = in_range(reader, "vocab_size", config.vocab_size, 1 << 24);
  config.width = in_range(reader, "d_model", config.width, kMaxWidth);
  config.head_width = in_range(reader, "d_kv", config.head_width, kMaxWidth);
  config.hidden_width = in_range(reader, "d_ff", config.hidden_width, kMaxWidth);
  config.num_layers = in_range(reader, "num_layers", config.num_layers, kMaxLayers);
  config.num_heads = in_range(reader, "num_heads", config.num_heads, kMaxWidth);
  config.num_buckets =
      in_range(reader, "relative_attention_num_buckets", config.num_buckets, kMaxWidth);
  config.max_distance =
      in_range(reader, "relative_attention_max_distance", config.max_distance, kMaxWidth);
  config.epsilon = reader.get<double>("layer_norm_epsilon", config.epsilon);
  if (config.num_buckets < 4 || config.max_distance <= config.num_buckets / 4) {
    fail(ErrorKind::Input, "{}: {} buckets cannot tell relative positions up to {} apart",
         reader.description(), config.num_buckets, config.max_distance);
  }

  // "relu", "gated-gelu": the second means the tanh form, which transformers calls gelu_new and
  // writes beside it.
  const std::string form = reader.get<std::string>("feed_forward_proj", "gated-gelu");
  constexpr std::string_view kGated = "gated-";
  const bool gated = form.starts_with(kGated);
  const std::string name = form == "gated-gelu" ? "gelu_new"
                           : gated              ? form.substr(kGated.size())
                                                : form;
  config.gated = reader.get<bool>("is_gated_act", gated);
  config.activation = activation_of(reader.get<std::string>("dense_act_fn", name), reader);

  reader.ignore({"architectures", "bos_token_id", "classifier_dropout", "decoder_start_token_id",
                 "dropout_rate", "dtype", "eos_token_id", "initializer_factor",
                 "is_encoder_decoder", "num_decoder_layers", "output_past", "pad_token_id",
                 "scalable_attention", "tie_word_embeddings", "tokenizer_class", "torch_dtype",
                 "transformers_version", "use_cache"});
  reader.check_all_read();
  return config;
}

}  // namespace sora
