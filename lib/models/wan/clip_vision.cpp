#include "lib/models/wan/clip_vision.h"

#include <ATen/ATen.h>

#include <string>

#include "kernels/gated_residual.h"
#include "lib/core/config_reader.h"
#include "lib/core/error.h"
#include "lib/nn/attention.h"

namespace sora {
namespace {

constexpr auto kPrecision = LayerNorm::Precision::Model;

Activation activation(const ConfigReader& config) {
  const auto name = config.get<std::string>("hidden_act", "quick_gelu");
  if (name == "quick_gelu") return Activation::QuickGelu;
  if (name == "gelu") return Activation::Gelu;
  if (name == "gelu_pytorch_tanh" || name == "gelu_new") return Activation::GeluTanh;
  fail(ErrorKind::Input, "{}: hidden_act is \"{}\", expected quick_gelu, gelu or gelu_pytorch_tanh",
       config.description(), name);
}

// transformers 4 writes the encoder as a part of a larger model.
Weights encoder_weights(const Weights& weights) {
  return weights.has("vision_model.embeddings.class_embedding") ? weights["vision_model"] : weights;
}

Linear patch_embedding(const ClipVisionConfig& config, const Weights& weights) {
  const int64_t patch = config.patch_size;
  return {weights.get("weight", {config.hidden_size, config.num_channels, patch, patch}).flatten(1),
          at::Tensor()};
}

Linear square(const Weights& weights, const ClipVisionConfig& config) {
  return {weights, config.hidden_size, config.hidden_size};
}

}  // namespace

ClipVisionConfig ClipVisionConfig::from_config(const ConfigReader& config) {
  ClipVisionConfig clip;
  const auto read = [&config](const char* field, int64_t& value) {
    value = config.get<int64_t>(field, value);
    if (value < 1)
      fail(ErrorKind::Input, "{}: {} is {}, expected 1 or more", config.description(), field,
           value);
  };
  read("hidden_size", clip.hidden_size);
  read("intermediate_size", clip.intermediate_size);
  read("num_hidden_layers", clip.num_hidden_layers);
  read("num_attention_heads", clip.num_attention_heads);
  read("num_channels", clip.num_channels);
  read("image_size", clip.image_size);
  read("patch_size", clip.patch_size);
  clip.hidden_act = activation(config);
  clip.layer_norm_eps = config.get<double>("layer_norm_eps", clip.layer_norm_eps);
  config.ignore({"architectures", "attention_dropout", "dropout", "dtype", "initializer_factor",
                 "initializer_range", "model_type", "projection_dim", "torch_dtype",
                 "transformers_version"});
  config.check_all_read();
  if (clip.hidden_size % clip.num_attention_heads != 0) {
    fail(ErrorKind::Input, "{}: hidden_size {} is no multiple of num_attention_heads {}",
         config.description(), clip.hidden_size, clip.num_attention_heads);
  }
  return clip;
}

ClipImageConfig ClipImageConfig::from_config(const ConfigReader& config) {
  constexpr int64_t kBicubic = 3;
  ClipImageConfig clip;
  for (const char* step :
       {"do_resize", "do_center_crop", "do_rescale", "do_normalize", "do_convert_rgb"}) {
    config.require<bool>(step, true);
  }
  config.require<int64_t>("resample", kBicubic);
  if (const auto size = config.get_object("size")) {
    clip.shortest_edge = size->get<int64_t>("shortest_edge");
    size->check_all_read();
  }
  if (const auto crop = config.get_object("crop_size")) {
    clip.crop = {crop->get<int64_t>("height"), crop->get<int64_t>("width")};
    crop->check_all_read();
  }
  clip.rescale_factor = config.get<double>("rescale_factor", clip.rescale_factor);
  const auto read = [&config](const char* field, std::array<double, 3>& value) {
    const auto numbers = config.get<std::vector<double>>(field, {value.begin(), value.end()});
    if (numbers.size() != value.size()) {
      fail(ErrorKind::Input, "{}: {} has {} numbers, expected 3", config.description(), field,
           numbers.size());
    }
    std::copy(numbers.begin(), numbers.end(), value.begin());
  };
  read("image_mean", clip.mean);
  read("image_std", clip.std);
  config.ignore({"feature_extractor_type", "image_processor_type", "processor_class"});
  config.check_all_read();
  return clip;
}

at::Tensor clip_pixel_values(const at::Tensor& image_HW3, const ClipImageConfig& config) {
  const int64_t height = image_HW3.size(0), width = image_HW3.size(1), edge = config.shortest_edge;
  const bool upright = height >= width;
  const int64_t longest = edge * std::max(height, width) / std::min(height, width);
  // Columns, then rows, each rounded to bytes, as the reference's library resizes.
  const auto resize = [](const at::Tensor& image, int64_t rows, int64_t columns) {
    return at::_upsample_bicubic2d_aa(image, {rows, columns}, /*align_corners=*/false)
        .round()
        .clamp(0, 255);
  };
  const at::Tensor bytes_13HW = image_HW3.permute({2, 0, 1}).unsqueeze(0).to(at::kFloat);
  const at::Tensor narrowed = resize(bytes_13HW, height, upright ? edge : longest);
  const at::Tensor resized = resize(narrowed, upright ? longest : edge, upright ? edge : longest);
  // A positive margin pads, a negative one cuts.
  const auto margins = [](int64_t size, int64_t crop) {
    const int64_t before = crop <= size ? -((size - crop) / 2) : (crop - size + 1) / 2;
    return std::array<int64_t, 2>{before, crop - size - before};
  };
  const auto rows = margins(resized.size(2), config.crop[0]),
             columns = margins(resized.size(3), config.crop[1]);
  const at::Tensor cropped =
      at::constant_pad_nd(resized, {columns[0], columns[1], rows[0], rows[1]});
  const auto per_channel = [](const std::array<double, 3>& values) {
    return at::tensor({values[0], values[1], values[2]}, at::kFloat).view({1, 3, 1, 1});
  };
  return (cropped * config.rescale_factor - per_channel(config.mean)) / per_channel(config.std);
}

ClipVision::Layer::Layer(const ClipVisionConfig& config, const Weights& weights)
    : num_heads_(config.num_attention_heads),
      layer_norm1_(weights["layer_norm1"], config.hidden_size, config.layer_norm_eps, kPrecision),
      layer_norm2_(weights["layer_norm2"], config.hidden_size, config.layer_norm_eps, kPrecision),
      q_proj_(square(weights["self_attn"]["q_proj"], config)),
      k_proj_(square(weights["self_attn"]["k_proj"], config)),
      v_proj_(square(weights["self_attn"]["v_proj"], config)),
      out_proj_(square(weights["self_attn"]["out_proj"], config)),
      mlp_({weights["mlp"]["fc1"], config.hidden_size, config.intermediate_size},
           {weights["mlp"]["fc2"], config.intermediate_size, config.hidden_size},
           config.hidden_act) {}

void ClipVision::Layer::apply_(const at::Tensor& x_BSD) const {
  const at::Tensor y = layer_norm1_(x_BSD);
  kernels::gated_residual_(
      x_BSD, out_proj_(multi_head_attention(q_proj_(y), k_proj_(y), v_proj_(y), num_heads_)));
  kernels::gated_residual_(x_BSD, mlp_(layer_norm2_(x_BSD)));
}

ClipVision::ClipVision(const ClipVisionConfig& config, const Weights& all_weights)
    : config_(config),
      patch_embedding_(
          patch_embedding(config, encoder_weights(all_weights)["embeddings"]["patch_embedding"])),
      class_embedding_D_(
          encoder_weights(all_weights)["embeddings"].get("class_embedding", {config.hidden_size})),
      position_embedding_SD_(encoder_weights(all_weights)["embeddings"]["position_embedding"].get(
          "weight", {config.num_tokens(), config.hidden_size})),
      pre_layrnorm_(encoder_weights(all_weights)["pre_layrnorm"], config.hidden_size,
                    config.layer_norm_eps, kPrecision) {
  const Weights weights = encoder_weights(all_weights);
  for (int64_t i = 0; i < config.num_hidden_layers; ++i)
    layers_.emplace_back(config, weights["encoder"]["layers"][i]);
  // Checked like the others, and not needed for the hidden states before the last layer.
  layers_.pop_back();
  const LayerNorm post_layernorm(weights["post_layernorm"], config.hidden_size,
                                 config.layer_norm_eps, kPrecision);
}

at::Tensor ClipVision::operator()(const at::Tensor& pixels_BCHW) const {
  const int64_t batch = pixels_BCHW.size(0), side = config_.patches_a_side(),
                patch = config_.patch_size;
  TORCH_CHECK(pixels_BCHW.size(1) == config_.num_channels &&
                  pixels_BCHW.size(2) == config_.image_size &&
                  pixels_BCHW.size(3) == config_.image_size,
              "pixels are not of the model's size");
  const at::Tensor patches =
      pixels_BCHW.to(class_embedding_D_.device(), patch_embedding_.dtype())
          .narrow(2, 0, side * patch)
          .narrow(3, 0, side * patch)
          .reshape({batch, config_.num_channels, side, patch, side, patch})
          .permute({0, 2, 4, 1, 3, 5})
          .reshape({batch, side * side, config_.num_channels * patch * patch});
  const at::Tensor tokens =
      at::cat({class_embedding_D_.expand({batch, 1, -1}), patch_embedding_(patches)}, 1);
  const at::Tensor x_BSD = pre_layrnorm_(tokens + position_embedding_SD_).to(at::kFloat);
  for (const Layer& layer : layers_) layer.apply_(x_BSD);
  return x_BSD;
}

}  // namespace sora
