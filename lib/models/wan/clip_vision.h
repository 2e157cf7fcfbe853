// The image encoder of Wan 2.1's image to video: CLIPVisionModel of transformers (CLIP, arXiv
// 2103.00020; a ViT-H/14), up to the hidden states before its last layer, and the preparation of an
// image for it. B batch, S = 1 + (image_size / patch_size)^2 tokens, D width
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <vector>

#include "lib/nn/linear.h"
#include "lib/nn/norm.h"

namespace sora {

class ConfigReader;

struct ClipVisionConfig {
  int64_t hidden_size = 768;
  int64_t intermediate_size = 3072;
  int64_t num_hidden_layers = 12;
  int64_t num_attention_heads = 12;
  int64_t num_channels = 3;
  int64_t image_size = 224;  // pixels a side
  int64_t patch_size = 32;
  Activation hidden_act = Activation::QuickGelu;
  double layer_norm_eps = 1e-5;

  int64_t patches_a_side() const { return image_size / patch_size; }
  int64_t num_tokens() const { return 1 + patches_a_side() * patches_a_side(); }

  // Throws Error(Input) naming a field that is unknown or out of range.
  static ClipVisionConfig from_config(const ConfigReader& config);
};

// preprocessor_config.json of a CLIPImageProcessor.
struct ClipImageConfig {
  int64_t shortest_edge = 224;
  std::array<int64_t, 2> crop = {224, 224};  // height, width
  double rescale_factor = 1.0 / 255;
  std::array<double, 3> mean = {0.48145466, 0.4578275, 0.40821073};
  std::array<double, 3> std = {0.26862954, 0.26130258, 0.27577711};

  // Throws Error(Input) for a field that is unknown, or a step that is switched off.
  static ClipImageConfig from_config(const ConfigReader& config);
};

// image [H, W, 3] u8 -> [1, 3, crop height, crop width] f32: shortest edge resized (bicubic,
// antialiased), centre cut out (what lies outside of the image is black), normalised.
at::Tensor clip_pixel_values(const at::Tensor& image_HW3, const ClipImageConfig& config);

class ClipVision {
 public:
  // Takes the names of transformers 5, and those of 4 with "vision_model." before them.
  ClipVision(const ClipVisionConfig& config, const Weights& weights);

  const ClipVisionConfig& config() const { return config_; }

  // pixels [B, 3, image_size, image_size] -> hidden_states[-2] of the reference, [B, S, D] f32.
  at::Tensor operator()(const at::Tensor& pixels_BCHW) const;

 private:
  class Layer {
   public:
    Layer(const ClipVisionConfig& config, const Weights& weights);
    void apply_(const at::Tensor& x_BSD) const;

   private:
    int64_t num_heads_;
    LayerNorm layer_norm1_, layer_norm2_;
    Linear q_proj_, k_proj_, v_proj_, out_proj_;
    FeedForward mlp_;
  };

  ClipVisionConfig config_;
  Linear patch_embedding_;
  at::Tensor class_embedding_D_, position_embedding_SD_;
  LayerNorm pre_layrnorm_;
  std::vector<Layer> layers_;
};

}  // namespace sora
