// Of several ranks (lib/nn/ranks.h) one half draws with the prompt and the other with the negative
// prompt; without guidance, or where their number is odd, all share the tokens of one.
//
// The input forms follow Wan's pipelines: image to video concatenates a mask (one channel for each
// video frame of a latent frame) and the known latents to the noise (Wan 2.1, section 5.1); TI2V-5B
// feeds known tokens clean at timestep 0 (Wan 2.2, `expand_timesteps`); VACE has a branch of its
// own for them.
#include "lib/models/wan/wan_denoiser.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include "lib/models/wan/lora.h"
#include "lib/models/wan/parts.h"
#include "lib/nn/tensor_memory.h"

namespace sora {
namespace {

// [num_frames] of 1 and 0 -> [1, stride, F, 1, 1]: latent frame 0 holds video frame 0 `stride`
// times, the others `stride` frames each.
at::Tensor mask_channels(const at::Tensor& known_frames, int64_t stride) {
  const at::Tensor first = known_frames.slice(0, 0, 1).repeat({stride});
  const at::Tensor spread = at::cat({first, known_frames.slice(0, 1)});
  return spread.reshape({-1, stride}).transpose(0, 1).reshape({1, stride, -1, 1, 1});
}

// A latent frame counts as known when all of its video frames are.
at::Tensor free_latent_frames(const at::Tensor& known_frames, int64_t stride) {
  return 1.0 - mask_channels(known_frames, stride).amin(1, /*keepdim=*/true);
}

at::Tensor placed(const at::Tensor& tensor, at::Device device) {
  return tensor.defined() ? tensor.to(device) : tensor;
}

TextCondition placed(const TextCondition& text, at::Device device) {
  return {placed(text.embeds_TD, device), text.num_tokens};
}

// What the model itself is told; what the loop sees to stays where it is.
Conditioning placed(Conditioning conditioning, at::Device device) {
  conditioning.positive = placed(conditioning.positive, device);
  conditioning.negative = placed(conditioning.negative, device);
  if (conditioning.source) conditioning.source = placed(*conditioning.source, device);
  for (TextCondition& text : conditioning.timed) text = placed(text, device);
  for (at::Tensor* tensor : {&conditioning.timed_bias_FP, &conditioning.image_embeds_BSD,
                             &conditioning.known_latents_1CFHW, &conditioning.known_frames,
                             &conditioning.control_1CFHW}) {
    *tensor = placed(*tensor, device);
  }
  return conditioning;
}

}  // namespace

void WanDenoiser::set_conditioning(const Conditioning& conditioning, const LatentGrid& grid) {
  conditioning_ = placed(conditioning, device_);
  grid_ = grid;
  both_.reset();
  contexts_.clear();
  for (auto& [text, recorded] : recorded_) recorded.renew_conditions();
  concatenated_ = free_mask_11FHW_ = at::Tensor();
  const bool has_known = conditioning_.known_latents_1CFHW.defined();
  const int64_t temporal = grid_.strides.temporal;
  if (model_.known_frames == KnownFrames::MaskChannels) {
    if (has_known) {
      const at::Tensor mask = mask_channels(conditioning_.known_frames, temporal)
                                  .expand({1, temporal, grid_.frames, grid_.height, grid_.width});
      concatenated_ = at::cat({mask, conditioning_.known_latents_1CFHW}, 1).to(dtype_);
    } else {
      concatenated_ =
          at::zeros({1, temporal + grid_.strides.channels, grid_.frames, grid_.height, grid_.width},
                    at::dtype(dtype_).device(device_));
    }
  } else if (model_.known_frames == KnownFrames::ControlBranch) {
    control_ = {conditioning_.control_1CFHW.to(dtype_), conditioning_.control_scale};
  } else if (model_.known_frames == KnownFrames::TokenTimesteps && has_known) {
    free_mask_11FHW_ = free_latent_frames(conditioning_.known_frames, temporal)
                           .expand({1, 1, grid_.frames, grid_.height, grid_.width})
                           .contiguous();
  }
}

void WanDenoiser::use_expert(bool low_noise) {
  if (low_noise_resident_ == low_noise) return;
  both_.reset();
  contexts_.clear();
  recorded_.clear();
  recorder_.reset();
  transformer_.reset();
  release_tensor_memory();  // of the expert that was
  const TransformerFiles files = model_.parts.expert(low_noise);
  const std::string part = fmt::format(
      "{} {} {} {} {} {} {} {} {}", files.transformer.string(), files.control.string(), low_noise,
      model_.placement.resident_blocks, c10::toString(dtype_), arithmetic_.int8_products,
      arithmetic_.int8_attention, static_cast<int>(arithmetic_.attention), device_.str());
  transformer_ = model_.part<WanTransformer>(part, [&] {
    const auto checkpoint = open_transformer(files);
    const WanLoras loras =
        read_wan_loras(model_.loras, low_noise, model_.has_two_experts(), *checkpoint);
    const Weights weights(checkpoint, dtype_, device_, loras.changes);
    auto transformer = std::make_shared<const WanTransformer>(
        model_.transformer, weights, arithmetic_,
        Residency{model_.placement.resident_blocks, model_.placement.host_copies});
    weights.check_all_used();
    return transformer;
  });
  low_noise_resident_ = low_noise;
}

at::Tensor WanDenoiser::image_embeds() const {
  const at::Tensor& embeds_BSD = conditioning_.image_embeds_BSD;
  return embeds_BSD.defined() ? embeds_BSD.to(dtype_) : at::Tensor();
}

// The prompts that share the clip's time, each with its own keys, weighed frame by frame.
WanTextContext WanDenoiser::prepare_prompts() const {
  std::vector<WanTextContext> contexts;
  for (const TextCondition& text : conditioning_.timed) {
    contexts.push_back(transformer_->prepare_text(text.embeds_TD.unsqueeze(0).to(dtype_),
                                                  {text.num_tokens}, image_embeds()));
  }
  return join_texts(contexts, conditioning_.timed_bias_FP);
}

const WanTextContext& WanDenoiser::context(Text text) {
  const auto found = contexts_.find(text);
  if (found != contexts_.end()) return found->second;
  if (text == Text::Prompt && !conditioning_.timed.empty())
    return contexts_.emplace(text, prepare_prompts()).first->second;
  const TextCondition& condition = text == Text::Prompt     ? conditioning_.positive
                                   : text == Text::Negative ? conditioning_.negative
                                                            : *conditioning_.source;
  return contexts_
      .emplace(text, transformer_->prepare_text(condition.embeds_TD.unsqueeze(0).to(dtype_),
                                                {condition.num_tokens}, image_embeds()))
      .first->second;
}

bool WanDenoiser::is_low_noise(double timestep) const {
  return model_.has_two_experts() && timestep < *model_.boundary_timestep;
}

double WanDenoiser::guidance_scale(bool low_noise) const {
  return low_noise ? conditioning_.guidance_scale_2 : conditioning_.guidance_scale;
}

at::Tensor WanDenoiser::model_input(const at::Tensor& latents_1CFHW) const {
  if (concatenated_.defined()) return at::cat({latents_1CFHW.to(dtype_), concatenated_}, 1);
  return pin(latents_1CFHW).to(dtype_);
}

at::Tensor WanDenoiser::model_timestep(double timestep) const {
  if (!free_mask_11FHW_.defined()) return at::full({1}, timestep, at::kFloat);
  const auto& patch = grid_.strides.patch;
  const at::Tensor token_mask = free_mask_11FHW_[0][0]
                                    .slice(0, 0, c10::nullopt, patch[0])
                                    .slice(1, 0, c10::nullopt, patch[1])
                                    .slice(2, 0, c10::nullopt, patch[2]);
  return (token_mask * timestep).reshape({1, -1});
}

at::Tensor WanDenoiser::velocity(const at::Tensor& latents_1CFHW, const NoiseStep& step) {
  const bool low_noise = is_low_noise(step.timestep);
  const bool is_guided =
      step.sigma >= conditioning_.guidance_low && step.sigma <= conditioning_.guidance_high;
  const double scale = is_guided ? guidance_scale(low_noise) : 1.0;
  if (scale <= 1.0) return velocity_of(latents_1CFHW, step, Text::Prompt);
  const bool batched = grid_.num_tokens() <= kMaxBatchedTokens &&
                       !conditioning_.image_embeds_BSD.defined() && conditioning_.timed.empty();
  at::Tensor positive;
  at::Tensor negative;
  if (const Ranks* ranks = Ranks::of_process(); ranks != nullptr && ranks->has_halves()) {
    const Text own = ranks->is_in_first_half() ? Text::Prompt : Text::Negative;
    const at::Tensor both =
        ranks->pair().gather(velocity_of(latents_1CFHW, step, own, &ranks->half()));
    positive = both[0];
    negative = both[1];
  } else if (batched && ranks == nullptr) {
    use_expert(low_noise);
    if (!both_) {
      const TextCondition& prompt = conditioning_.positive;
      const TextCondition& against = conditioning_.negative;
      const at::Tensor both_BTD = at::stack({prompt.embeds_TD, against.embeds_TD}).to(dtype_);
      both_ = transformer_->prepare_text(both_BTD, {prompt.num_tokens, against.num_tokens});
    }
    const at::Tensor input = model_input(latents_1CFHW);
    const at::Tensor time = model_timestep(step.timestep);
    WanControl control = control_;
    if (control.channels_BCFHW.defined())
      control.channels_BCFHW = at::cat({control.channels_BCFHW, control.channels_BCFHW});
    const at::Tensor both = pass(std::nullopt, at::cat({input, input}), at::cat({time, time}),
                                 *both_, control, nullptr);
    positive = both.slice(0, 0, 1);
    negative = both.slice(0, 1, 2);
  } else {
    positive = velocity_of(latents_1CFHW, step, Text::Prompt);
    negative = velocity_of(latents_1CFHW, step, Text::Negative);
  }
  return (negative + scale * (positive - negative)).to(at::kFloat);
}

at::Tensor WanDenoiser::velocity_of(const at::Tensor& latents_1CFHW, const NoiseStep& step,
                                    Text text) {
  const Ranks* ranks = Ranks::of_process();
  return velocity_of(latents_1CFHW, step, text, ranks == nullptr ? nullptr : &ranks->all());
}

at::Tensor WanDenoiser::velocity_of(const at::Tensor& latents_1CFHW, const NoiseStep& step,
                                    Text text, const RankGroup* ranks) {
  use_expert(is_low_noise(step.timestep));
  return pass(text, model_input(latents_1CFHW), model_timestep(step.timestep), context(text),
              control_, ranks)
      .to(at::kFloat);
}

at::Tensor WanDenoiser::pass(std::optional<Text> text, const at::Tensor& latents_BCFHW,
                             const at::Tensor& timestep, const WanTextContext& context,
                             const WanControl& control, const RankGroup* ranks) {
  if (!model_.placement.record_passes || ranks != nullptr)
    return (*transformer_)(latents_BCFHW, timestep, context, control, ranks);
  if (!recorder_) recorder_ = make_graph_recorder(device_);
  const auto recorded = recorded_.try_emplace(text, *transformer_, *recorder_, device_).first;
  return recorded->second(latents_BCFHW, timestep, context, control);
}

at::Tensor WanDenoiser::pin(const at::Tensor& latents_1CFHW) const {
  if (!free_mask_11FHW_.defined()) return latents_1CFHW;
  return (1.0 - free_mask_11FHW_) * conditioning_.known_latents_1CFHW +
         free_mask_11FHW_ * latents_1CFHW;
}

}  // namespace sora
