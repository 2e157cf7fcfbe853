// WanTransformer3DModel: predicts the velocity of noised latents at a noise level, given text and
// perhaps an image. The same mathematics as diffusers' class of that name (Wan 2.1 and 2.2), at any
// config; and WanVACETransformer3DModel, the same with a control branch (arXiv 2503.07598).
//
// B batch, C channels, F H W latent frames, rows, columns; L = F/p0 * H/p1 * W/p2 tokens for
// patches p; T text tokens, S image tokens, D width
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "lib/models/wan/condition_embedder.h"
#include "lib/models/wan/config.h"
#include "lib/models/wan/transformer_block.h"
#include "lib/nn/ranks.h"
#include "lib/nn/side_stream.h"

namespace sora {

// Keys and values of a prompt (and image) in every layer's cross-attention, made once for all
// steps.
struct WanTextContext {
  std::vector<WanCrossKeys> layers;
  std::vector<WanCrossKeys> vace_layers;  // of the control branch, where there is one
  // Note [Padded keys]; undefined where no row was collapsed. A context of joined texts has a row
  // for each latent frame instead of each batch item.
  at::Tensor text_bias_BS;
  bool is_timed = false;
};

// Of a list of layers those that stay in memory, the first ones. The others are read when they are
// used, or copied from the host's memory (Weights::with_host_copies), where they stay after the
// first time.
struct Residency {
  int64_t num_layers = INT64_MAX;
  bool host_copies = false;  // of the others' weights; on a device other than the CPU
};

// A list of layers. Those that are not resident are loaded when their turn comes and let go after
// it, on a device other than the CPU one ahead (Note [One layer ahead]).
template <typename Block>
class WanBlocks {
 public:
  WanBlocks(const WanTransformerConfig& config, const Weights& weights, int64_t count,
            const Residency& resident);

  size_t size() const { return static_cast<size_t>(count_); }
  void use(size_t index, const std::function<void(const Block&)>& with) const;

 private:
  Block load(int64_t index) const;
  void use_on_device(int64_t index, const std::function<void(const Block&)>& with) const;
  void load_ahead(int64_t index) const;

  WanTransformerConfig config_;
  Weights weights_;
  int64_t count_;
  std::vector<Block> blocks_;
  struct Ahead {
    explicit Ahead(at::Device device) : copies(device) {}
    SideStream copies;
    int64_t index = -1;
    std::optional<Block> block;
  };
  std::unique_ptr<Ahead> ahead_;  // where layers are loaded on a device as they are used
};

// What a model with a control branch is told of the clip: [B, vace_in_channels, F, H, W] as its
// pipeline lays it out (lib/pipelines/control.h), and the weight of its hints.
struct WanControl {
  at::Tensor channels_BCFHW;
  double scale = 1.0;
};

// Texts that share a clip: the keys of all of them, each text's weighed for each latent frame by
// bias_FP, f32 [F, P]. A frame whose bias is 0 for one text and very low for the others attends as
// if that text were alone. `texts` are of one batch item and without an image.
WanTextContext join_texts(const std::vector<WanTextContext>& texts, const at::Tensor& bias_FP);

// Const, and safe to call from several threads after construction where all layers are resident.
// Works in weights.dtype(), f32 or bf16; in bf16 the norms, the modulation, the time embedder and
// the rotation stay f32, as in the reference.
class WanTransformer {
 public:
  // Takes every tensor by its name in the checkpoint. Throws Error(Input) for one missing or of
  // another shape.
  // `arithmetic` is that of the layers; its type is that of the weights. `resident` counts the
  // layers of the control branch after the others.
  WanTransformer(const WanTransformerConfig& config, const Weights& weights,
                 const Arithmetic& arithmetic = {}, const Residency& resident = {});

  const WanTransformerConfig& config() const { return config_; }

  // text_BTD: the text encoder's output, zero-padded to the length the model was trained with. The
  // first num_tokens[b] rows of item b are real; those after it must be zero and cost nothing. The
  // reference attends to padding too. image: hidden states of the image encoder, needed where
  // config().image_dim is set: [B, S, image_dim], or [2 B, S, image_dim] with pos_embed_seq_len. A
  // context of B = 1 serves latents of any batch.
  WanTextContext prepare_text(const at::Tensor& text_BTD, at::IntArrayRef num_tokens,
                              const at::Tensor& image_BSD = {}) const;

  // What a pass is told besides latents, text and control, on the latents' device: the rotation of
  // their tokens, and the noise levels in a timestep [B], or [B, L] where tokens have their own
  // (Wan 2.2 TI2V-5B). Making them waits for the device.
  Rotation rotation(const at::Tensor& latents_BCFHW) const;
  WanNoiseLevels levels(const at::Tensor& timestep, const at::Tensor& latents_BCFHW) const;

  // latents [B, in_channels, F, H, W]. `control` is wanted where config().has_control(). Returns
  // the velocity in f32, [B, out_channels, F, H, W], F, H, W rounded down to whole patches. With
  // `ranks` all of the group call this with the same arguments, share the tokens where they can,
  // and return the same. Without, and where all layers are resident, it can be recorded (Note [Work
  // that can be recorded], lib/nn/device_graph.h).
  at::Tensor velocity(const at::Tensor& latents_BCFHW, const Rotation& rotation,
                      const WanNoiseLevels& levels, const WanTextContext& text,
                      const WanControl& control = {}, const RankGroup* ranks = nullptr) const;
  // The same from the timestep.
  at::Tensor operator()(const at::Tensor& latents_BCFHW, const at::Tensor& timestep,
                        const WanTextContext& text, const WanControl& control = {},
                        const RankGroup* ranks = nullptr) const;

 private:
  std::array<int64_t, 3> token_grid(const at::Tensor& latents_BCFHW) const;
  // [B, C, F, H, W] -> tokens [B, L, D], f32.
  at::Tensor embed(const at::Tensor& x_BCFHW, const std::array<int64_t, 3>& grid,
                   const Linear& embedding) const;
  at::Tensor embed_control(const WanControl& control, const at::Tensor& latents_BCFHW,
                           const std::array<int64_t, 3>& grid) const;
  at::Tensor unpatchify(const at::Tensor& x_BLD, const std::array<int64_t, 3>& grid) const;

  WanTransformerConfig config_;
  Linear patch_embedding_;
  WanConditionEmbedder condition_embedder_;
  WanBlocks<WanBlock> blocks_;
  std::optional<Linear> vace_patch_embedding_;
  WanBlocks<WanVaceBlock> vace_blocks_;
  Linear proj_out_;
  at::Tensor scale_shift_table_12D_;  // f32
};

}  // namespace sora
