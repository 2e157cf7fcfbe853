#include "lib/models/wan/transformer.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <type_traits>
#include <utility>

#include "kernels/gated_residual.h"
#include "kernels/layer_norm.h"
#include "lib/core/error.h"
#include "lib/nn/attention.h"
#include "lib/nn/rope.h"

namespace sora {
namespace {

// A convolution whose stride is its kernel is a matrix product over patches laid out in the
// weight's own order.
Linear patch_embedding(const WanTransformerConfig& config, const Weights& weights,
                       int64_t in_channels) {
  const auto& patch = config.patch_size;
  const int64_t width = config.inner_dim();
  return {weights.get("weight", {width, in_channels, patch[0], patch[1], patch[2]}).flatten(1),
          weights.get("bias", {width})};
}

template <typename Block>
Block make_block(const WanTransformerConfig& config, const Weights& weights, int64_t index) {
  if constexpr (std::is_same_v<Block, WanVaceBlock>)
    return Block(config, weights, /*is_first=*/index == 0);
  else
    return Block(config, weights);
}

}  // namespace

template <typename Block>
WanBlocks<Block>::WanBlocks(const WanTransformerConfig& config, const Weights& weights,
                            int64_t count, const Residency& resident)
    : config_(config), weights_(weights), count_(count) {
  const int64_t num_resident = std::clamp<int64_t>(resident.num_layers, 0, count);
  for (int64_t i = 0; i < num_resident; ++i) {
    blocks_.push_back(load(i));
    weights[i].forget_pages();  // read for a copy in another order or type, or not read yet
  }
  for (int64_t i = num_resident; i < count; ++i) {
    make_block<Block>(config, weights.without_values()[i], i);  // checks names and shapes
  }
  if (num_resident == count) return;
  if (resident.host_copies) weights_ = weights.with_host_copies();
  if (!weights.device().is_cpu()) ahead_ = std::make_unique<Ahead>(weights.device());
}

template <typename Block>
Block WanBlocks<Block>::load(int64_t index) const {
  return make_block<Block>(config_, weights_[index], index);
}

template <typename Block>
void WanBlocks<Block>::use(size_t index, const std::function<void(const Block&)>& with) const {
  if (index < blocks_.size()) return with(blocks_[index]);
  const auto i = static_cast<int64_t>(index);
  if (ahead_) return use_on_device(i, with);
  with(load(i));
  weights_[i].forget_pages();
}

// Note [One layer ahead]
// A layer that is not resident is copied to the device on a second stream while the first one
// computes the layer before it. Two are there at a time. The copy of layer i + 1 may be given the
// memory that layer i - 1 has left, so it waits until that one has been computed, which is when
// layer i begins: mark() stands before it.
template <typename Block>
void WanBlocks<Block>::use_on_device(int64_t index,
                                     const std::function<void(const Block&)>& with) const {
  if (ahead_->index != index) load_ahead(index);
  const Block block = std::move(*ahead_->block);
  ahead_->block.reset();
  ahead_->index = -1;
  ahead_->copies.join();
  ahead_->copies.mark();
  with(block);
  load_ahead(index + 1 < count_ ? index + 1 : static_cast<int64_t>(blocks_.size()));
}

template <typename Block>
void WanBlocks<Block>::load_ahead(int64_t index) const {
  ahead_->block.reset();
  ahead_->copies.run([&] { ahead_->block.emplace(load(index)); });
  ahead_->index = index;
}

WanTransformer::WanTransformer(const WanTransformerConfig& config, const Weights& weights,
                               const Arithmetic& arithmetic, const Residency& resident)
    : config_(config),
      patch_embedding_(patch_embedding(config, weights["patch_embedding"], config.in_channels)),
      condition_embedder_(config, weights["condition_embedder"]),
      blocks_(config, weights["blocks"].computed_in(arithmetic), config.num_layers, resident),
      vace_blocks_(config, weights["vace_blocks"].computed_in(arithmetic),
                   static_cast<int64_t>(config.vace_layers.size()),
                   {resident.num_layers - config.num_layers, resident.host_copies}),
      proj_out_(weights["proj_out"], config.inner_dim(),
                config.out_channels * config.patch_volume()),
      scale_shift_table_12D_(weights.get_f32("scale_shift_table", {1, 2, config.inner_dim()})) {
  if (!config.has_control()) return;
  vace_patch_embedding_.emplace(
      patch_embedding(config, weights["vace_patch_embedding"], config.vace_in_channels));
}

WanTextContext WanTransformer::prepare_text(const at::Tensor& text_BTD, at::IntArrayRef num_tokens,
                                            const at::Tensor& image_BSD) const {
  const int64_t total = text_BTD.size(1);
  if (text_BTD.dim() != 3 || text_BTD.size(2) != config_.text_dim) {
    fail(ErrorKind::Input, "text embeddings are {} wide, but the transformer's text_dim is {}",
         text_BTD.size(-1), config_.text_dim);
  }
  if (static_cast<int64_t>(num_tokens.size()) != text_BTD.size(0)) {
    fail(ErrorKind::Internal, "{} texts, but {} numbers of tokens", text_BTD.size(0),
         num_tokens.size());
  }
  if (config_.image_dim.has_value() != image_BSD.defined()) {
    fail(ErrorKind::Input, "{}",
         config_.image_dim ? "this transformer wants the image encoder's hidden states of a "
                             "first image, and was given none"
                           : "this transformer has no image branch, but was given an image");
  }
  // On a GPU all keys stay: without a bias its attention has faster forms than with one.
  const CollapsedPadding kept =
      text_BTD.is_cpu() ? collapse_padding(num_tokens.vec(), total) : CollapsedPadding{total, {}};
  const at::ScalarType dtype = patch_embedding_.dtype();
  const at::Tensor text_BSD =
      condition_embedder_.text(text_BTD.narrow(1, 0, kept.num_rows).to(dtype).contiguous());
  const at::Tensor image =
      image_BSD.defined() ? condition_embedder_.image(image_BSD.to(dtype)) : at::Tensor();
  WanTextContext context;
  const auto add = [&](const auto& blocks, std::vector<WanCrossKeys>& layers) {
    for (size_t i = 0; i < blocks.size(); ++i) {
      blocks.use(i, [&](const auto& block) { layers.push_back(block.keys(text_BSD, image)); });
    }
  };
  add(blocks_, context.layers);
  add(vace_blocks_, context.vace_layers);
  context.text_bias_BS = kept.bias_BS;
  return context;
}

WanTextContext join_texts(const std::vector<WanTextContext>& texts, const at::Tensor& bias_FP) {
  WanTextContext joined;
  joined.is_timed = true;
  std::vector<at::Tensor> biases;
  for (size_t p = 0; p < texts.size(); ++p) {
    const int64_t num_keys = texts[p].layers.front().text_k_BSD.size(1);
    const at::Tensor own_1S = texts[p].text_bias_BS.defined()
                                  ? texts[p].text_bias_BS
                                  : at::zeros({1, num_keys}, bias_FP.options());
    biases.push_back(own_1S +
                     bias_FP.slice(1, static_cast<int64_t>(p), static_cast<int64_t>(p) + 1));
  }
  joined.text_bias_BS = at::cat(biases, 1).contiguous();
  const auto join = [&](std::vector<WanCrossKeys> WanTextContext::*layers) {
    for (size_t layer = 0; layer < (texts.front().*layers).size(); ++layer) {
      std::vector<at::Tensor> keys, values;
      for (const WanTextContext& text : texts) {
        keys.push_back((text.*layers)[layer].text_k_BSD);
        values.push_back((text.*layers)[layer].text_v_BSD);
      }
      const WanCrossKeys& first = (texts.front().*layers)[layer];  // all see the same picture
      (joined.*layers)
          .push_back({at::cat(keys, 1), at::cat(values, 1), first.image_k_BSD, first.image_v_BSD});
    }
  };
  join(&WanTextContext::layers);
  join(&WanTextContext::vace_layers);
  return joined;
}

Rotation WanTransformer::rotation(const at::Tensor& latents_BCFHW) const {
  const Rotation angles = rotation_3d(token_grid(latents_BCFHW), config_.attention_head_dim);
  return {angles.cos.to(latents_BCFHW.device()), angles.sin.to(latents_BCFHW.device())};
}

WanNoiseLevels WanTransformer::levels(const at::Tensor& timestep,
                                      const at::Tensor& latents_BCFHW) const {
  const auto grid = token_grid(latents_BCFHW);
  const int64_t batch = latents_BCFHW.size(0), tokens = grid[0] * grid[1] * grid[2];
  if (timestep.size(0) != batch || (timestep.dim() == 2 && timestep.size(1) != tokens)) {
    fail(ErrorKind::Internal, "timesteps of {} tokens in all, expected {} items of 1 or {}",
         timestep.numel(), batch, tokens);
  }
  return noise_levels(timestep.to(latents_BCFHW.device()), tokens);
}

at::Tensor WanTransformer::operator()(const at::Tensor& latents_BCFHW, const at::Tensor& timestep,
                                      const WanTextContext& text, const WanControl& control,
                                      const RankGroup* ranks) const {
  return velocity(latents_BCFHW, rotation(latents_BCFHW), levels(timestep, latents_BCFHW), text,
                  control, ranks);
}

at::Tensor WanTransformer::velocity(const at::Tensor& latents_BCFHW, const Rotation& whole_rotation,
                                    const WanNoiseLevels& levels, const WanTextContext& text,
                                    const WanControl& control, const RankGroup* ranks) const {
  const auto grid = token_grid(latents_BCFHW);
  const int64_t batch = latents_BCFHW.size(0), tokens = grid[0] * grid[1] * grid[2];
  Rotation rotation = whole_rotation;
  WanTimeEmbedding time = condition_embedder_.time(levels);

  at::Tensor x_BLD = embed(latents_BCFHW, grid, patch_embedding_);
  const at::Tensor control_BLD = embed_control(control, latents_BCFHW, grid);
  // Texts by time are attended to frame by frame, which a share of the tokens may cut; the control
  // branch is not shared.
  const bool is_shared = ranks != nullptr && !text.is_timed && vace_blocks_.size() == 0 &&
                         ranks->can_share(tokens, config_.num_attention_heads);
  const SharedTokens shared{is_shared ? ranks : nullptr, tokens};
  if (is_shared) {
    const RankGroup::Share own = ranks->own_share(tokens);
    x_BLD = x_BLD.narrow(1, own.start, own.count).contiguous();
    rotation = {rotation.cos.narrow(0, own.start, own.count).contiguous(),
                rotation.sin.narrow(0, own.start, own.count).contiguous()};
    time.row_N = time.row_N.view({batch, tokens}).narrow(1, own.start, own.count).flatten();
  }
  size_t next_control = 0;
  for (size_t i = 0; i < blocks_.size(); ++i) {
    // The branch depends on the main stream's input alone, so that each hint is made when it is
    // added, and one is alive at a time.
    at::Tensor hint_BLD;
    if (next_control < vace_blocks_.size() &&
        config_.vace_layers[next_control] == static_cast<int64_t>(i)) {
      vace_blocks_.use(next_control, [&](const WanVaceBlock& block) {
        hint_BLD = block.apply_(control_BLD, x_BLD, time, text.vace_layers[next_control],
                                text.text_bias_BS, text.is_timed, rotation);
      });
      ++next_control;
    }
    blocks_.use(i, [&](const WanBlock& block) {
      block.apply_(x_BLD, time, text.layers[i], text.text_bias_BS, text.is_timed, rotation, shared);
    });
    if (!hint_BLD.defined()) continue;
    if (control.scale != 1.0) hint_BLD.mul_(control.scale);
    kernels::gated_residual_(x_BLD, hint_BLD);
  }
  const at::Tensor shift_scale_R2D = scale_shift_table_12D_ + time.temb_RD.unsqueeze(1);
  const at::Tensor normed =
      kernels::layer_norm(x_BLD, 1 + shift_scale_R2D.select(1, 1), shift_scale_R2D.select(1, 0),
                          time.row_N, config_.eps, patch_embedding_.dtype());
  const at::Tensor out_BLD = proj_out_(normed);
  return unpatchify(is_shared ? ranks->join_tokens(out_BLD, tokens) : out_BLD, grid);
}

std::array<int64_t, 3> WanTransformer::token_grid(const at::Tensor& latents_BCFHW) const {
  if (latents_BCFHW.dim() != 5 || latents_BCFHW.size(1) != config_.in_channels) {
    fail(ErrorKind::Internal, "latents have {} channels, the transformer's in_channels is {}",
         latents_BCFHW.size(1), config_.in_channels);
  }
  std::array<int64_t, 3> grid;
  for (size_t axis = 0; axis < grid.size(); ++axis) {
    const int64_t size = latents_BCFHW.size(static_cast<int64_t>(axis) + 2);
    grid[axis] = size / config_.patch_size[axis];
    if (grid[axis] < 1 || grid[axis] > config_.rope_max_seq_len) {
      constexpr const char* kAxes[] = {"latent frames", "latent rows", "latent columns"};
      fail(ErrorKind::Usage,
           "{} {} are {} tokens, but this transformer takes 1 to {} along an axis; choose another "
           "size",
           size, kAxes[axis], grid[axis], config_.rope_max_seq_len);
    }
  }
  return grid;
}

at::Tensor WanTransformer::embed_control(const WanControl& control, const at::Tensor& latents_BCFHW,
                                         const std::array<int64_t, 3>& grid) const {
  if (config_.has_control() != control.channels_BCFHW.defined()) {
    fail(ErrorKind::Internal, "{}",
         config_.has_control() ? "a transformer with a control branch was told nothing to control"
                               : "a transformer without a control branch was told what to control");
  }
  if (!config_.has_control()) return {};
  std::vector<int64_t> wanted = latents_BCFHW.sizes().vec();
  wanted[1] = config_.vace_in_channels;
  if (control.channels_BCFHW.sizes() != at::IntArrayRef(wanted)) {
    fail(ErrorKind::Internal, "control of shape [{}], expected [{}]",
         fmt::join(control.channels_BCFHW.sizes().vec(), ", "), fmt::join(wanted, ", "));
  }
  return embed(control.channels_BCFHW, grid, *vace_patch_embedding_);
}

at::Tensor WanTransformer::embed(const at::Tensor& x_BCFHW, const std::array<int64_t, 3>& grid,
                                 const Linear& embedding) const {
  const auto& patch = config_.patch_size;
  at::Tensor x = x_BCFHW.to(embedding.dtype());
  for (size_t axis = 0; axis < grid.size(); ++axis) {
    x = x.narrow(static_cast<int64_t>(axis) + 2, 0, grid[axis] * patch[axis]);
  }
  const int64_t batch = x.size(0), channels = x.size(1), tokens = grid[0] * grid[1] * grid[2];
  const at::Tensor patches =
      x.reshape({batch, channels, grid[0], patch[0], grid[1], patch[1], grid[2], patch[2]})
          .permute({0, 2, 4, 6, 1, 3, 5, 7})
          .reshape({batch * tokens, channels * config_.patch_volume()});
  return embedding(patches).to(at::kFloat).view({batch, tokens, -1});
}

at::Tensor WanTransformer::unpatchify(const at::Tensor& x_BLD,
                                      const std::array<int64_t, 3>& grid) const {
  const auto& patch = config_.patch_size;
  return x_BLD.to(at::kFloat)
      .view({x_BLD.size(0), grid[0], grid[1], grid[2], patch[0], patch[1], patch[2],
             config_.out_channels})
      .permute({0, 7, 1, 4, 2, 5, 3, 6})
      .reshape({x_BLD.size(0), config_.out_channels, grid[0] * patch[0], grid[1] * patch[1],
                grid[2] * patch[2]});
}

}  // namespace sora
