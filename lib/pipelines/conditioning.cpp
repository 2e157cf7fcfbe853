// Unknown frames go to the VAE as mid-grey (0 in [-1,1]), as Wan's image to video pipelines do.
#include "lib/pipelines/conditioning.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

#include "lib/core/config_reader.h"
#include "lib/core/error.h"
#include "lib/models/wan/clip_vision.h"
#include "lib/models/wan/parts.h"
#include "lib/pipelines/control.h"
#include "lib/pipelines/memory_plan.h"
#include "lib/text/prompt_embeds.h"

namespace sora {
namespace {

constexpr const char* kKeptTexts = "text ";

std::string kept_text(const TextArithmetic& arithmetic, const std::string& text) {
  return kKeptTexts + arithmetic.dtype + " " + arithmetic.device.str() + " " + text;
}

// Prompt Relay's own numbers: a card's text loses its hold within a latent frame of its last two.
constexpr double kRelayEpsilon = 1e-3;
constexpr double kRelayMargin = 2;

// Copies what `read` gives of `source` into video frames [first, first + count).
void copy_frames(at::Tensor& video_CFHW, int64_t first, Stretch source,
                 const Canvas::ReadFrames& read) {
  const int64_t from = std::max(first, source.start);
  const int64_t to = std::min(first + video_CFHW.size(1), source.stop);
  if (from >= to) return;
  video_CFHW.slice(1, from - first, to - first)
      .copy_(read({from, to}).permute({3, 0, 1, 2}).to(at::kFloat).mul_(2.0 / 255.0).sub_(1.0));
}

at::Tensor grey(const Canvas& canvas, int64_t count) {
  return at::zeros({3, count, canvas.size().height, canvas.size().width}, at::kFloat);
}

// Mean and deviation of each channel of `look` on the picture of `content`.
at::Tensor with_look(const at::Tensor& content_1CFHW, const at::Tensor& look_1CFHW) {
  const std::vector<int64_t> axes = {2, 3, 4};
  const at::Tensor spread =
      look_1CFHW.std(axes, false, true) / content_1CFHW.std(axes, false, true).clamp_min(1e-6);
  return (content_1CFHW - content_1CFHW.mean(axes, true)) * spread + look_1CFHW.mean(axes, true);
}

// [frames] -> [latent frames], each the largest of its video frames.
at::Tensor latent_maximum(const at::Tensor& values_F, int64_t stride) {
  const at::Tensor first = values_F.slice(0, 0, 1);
  if (values_F.size(0) == 1) return first.clone();
  return at::cat({first, values_F.slice(0, 1).view({-1, stride}).amax(1)});
}

at::Tensor latent_mean(const at::Tensor& values_F, int64_t stride) {
  const at::Tensor first = values_F.slice(0, 0, 1);
  if (values_F.size(0) == 1) return first.clone();
  return at::cat({first, values_F.slice(0, 1).view({-1, stride}).mean(1)});
}

// Numbers of the latent frames, to go with latents and where they are.
at::Tensor of_latent_frames(const at::Tensor& values_F, const at::Tensor& latents_1CFHW) {
  return values_F.view({1, 1, -1, 1, 1}).to(latents_1CFHW.device());
}

// What free frames follow, mixed by weight in latent space.
at::Tensor mix_followed(const Canvas& canvas, SourceEncoder& encoder, int64_t stride,
                        Observer& observer) {
  at::Tensor sum, look;
  at::Tensor total = at::zeros({canvas.num_frames()}, at::kFloat);
  for (const Canvas::Follow& source : canvas.follows()) {
    const at::Tensor latents_1CFHW = encoder.followed(canvas, source, observer);
    if (source.look_only) {
      look = latents_1CFHW;
      continue;
    }
    at::Tensor weights_F = at::zeros({canvas.num_frames()}, at::kFloat);
    weights_F.slice(0, source.frames.start, source.frames.stop).copy_(source.weights_F);
    total = total + weights_F;
    const at::Tensor weighted =
        latents_1CFHW * of_latent_frames(latent_mean(weights_F, stride), latents_1CFHW);
    sum = sum.defined() ? sum + weighted : weighted;
  }
  const at::Tensor mixed = sum / of_latent_frames(latent_mean(total, stride).clamp_min(1e-6), sum);
  return look.defined() ? with_look(mixed, look) : mixed;
}

void add_followed(const ModelInfo& model, const Canvas& canvas, SourceEncoder& encoder,
                  Conditioning& conditioning, Observer& observer) {
  const int64_t stride = model.strides().temporal;
  // A model that is not told of known frames is held to them.
  const bool holds_known =
      !canvas.is_free() && (model.known_frames == KnownFrames::None || canvas.levels().defined());
  if (!canvas.levels().defined() && !holds_known) return;
  at::Tensor levels_F =
      canvas.levels().defined() ? canvas.levels() : at::ones({canvas.num_frames()}, at::kFloat);
  at::Tensor latents_1CFHW;
  if (!canvas.follows().empty()) latents_1CFHW = mix_followed(canvas, encoder, stride, observer);
  if (holds_known) {
    levels_F = levels_F * (1 - canvas.known_mask());
    const at::Tensor& known_1CFHW = conditioning.known_latents_1CFHW;
    const at::Tensor is_known =
        of_latent_frames(latent_maximum(1 - canvas.known_mask(), stride).eq(0), known_1CFHW);
    latents_1CFHW =
        latents_1CFHW.defined() ? at::where(is_known, known_1CFHW, latents_1CFHW) : known_1CFHW;
  }
  conditioning.followed_latents_1CFHW = latents_1CFHW;
  conditioning.follow_levels_F = latent_maximum(levels_F, stride);
}

EncodedTexts encode_all(const ModelInfo& model, const TextArithmetic& arithmetic,
                        const std::vector<std::string>& texts, Observer& observer) {
  const Tokenizer tokenizer = Tokenizer::open(model.parts.tokenizer);
  const Umt5Encoder encoder =
      Umt5Encoder::open(model.parts.text_encoder, scalar_type(arithmetic.dtype), arithmetic.device);
  const std::vector<EncodedPrompt> made =
      encode_texts(tokenizer, encoder, texts, model.defaults.max_sequence_length, observer);
  EncodedTexts encoded;
  for (size_t i = 0; i < texts.size(); ++i)
    encoded[texts[i]] = {made[i].embeds_TD, made[i].num_tokens};
  return encoded;
}

const TextCondition& encoded(const EncodedTexts& texts, const std::string& text) {
  return texts.at(text);
}

}  // namespace

std::vector<std::string> texts_of(const Plan& plan) {
  std::vector<std::string> texts;
  const auto add = [&](const std::string& text) {
    if (std::find(texts.begin(), texts.end(), text) == texts.end()) texts.push_back(text);
  };
  for (const Said& said : plan.layout.prompts) add(said.text);
  add(plan.negative_prompt);
  if (plan.layout.edit != EditMethod::None) add(plan.layout.source_prompt);
  return texts;
}

void keep_texts(const ModelInfo& model, const TextArithmetic& arithmetic,
                const std::vector<std::string>& texts, Observer& observer) {
  model.kept->drop(kKeptTexts);
  for (const auto& [text, condition] : encode_all(model, arithmetic, texts, observer)) {
    model.kept->get<TextCondition>(kept_text(arithmetic, text), [&] {
      return std::make_shared<const TextCondition>(condition);
    });
  }
}

EncodedTexts encode_texts_of(const ModelInfo& model, const Plan& plan, Observer& observer) {
  const std::vector<std::string> wanted = texts_of(plan);
  const TextArithmetic arithmetic{plan.dtype, plan.device};
  EncodedTexts texts;
  for (const std::string& text : wanted) {
    const auto kept =
        model.kept ? model.kept->find<TextCondition>(kept_text(arithmetic, text)) : nullptr;
    if (!kept) return encode_all(model, arithmetic, wanted, observer);
    texts[text] = *kept;
  }
  return texts;
}

SourceEncoder::SourceEncoder(const ModelInfo& model, const Plan& plan)
    : model_(model), plan_(plan) {}

void SourceEncoder::end_window() {
  if (plan_.windows.size() == 1 || !model_.placement.keeps_networks) vae_.reset();
}

const WanVae& SourceEncoder::vae() {
  if (vae_) return *vae_;
  vae_.emplace(
      model_.vae,
      Weights(open_weights(WanPart::Vae, model_.parts.vae), scalar_type(plan_.dtype), plan_.device),
      WanVaeParts::Encoder);
  if (encodes_in_tiles(model_, plan_)) vae_->set_tiling(encoder_tiling(model_.vae));
  return *vae_;
}

at::Tensor SourceEncoder::known(const Canvas& canvas, Observer& observer) {
  observer.begin(Phase::EncodeSource, canvas.num_frames());
  const at::Tensor latents = vae().encode(canvas.num_frames(), [&](int64_t first, int64_t count) {
    check_stop(observer);
    observer.advance(Phase::EncodeSource, first + count);
    at::Tensor video_CFHW = grey(canvas, count);
    for (const Canvas::Known& known : canvas.known())
      copy_frames(video_CFHW, first, known.frames, known.read);
    return video_CFHW.unsqueeze(0);
  });
  return latents;
}

at::Tensor SourceEncoder::controlling(const Canvas& canvas, Observer& observer) {
  observer.begin(Phase::EncodeSource, canvas.num_frames());
  const Canvas::Known& control = canvas.controlling();
  return vae().encode(canvas.num_frames(), [&](int64_t first, int64_t count) {
    check_stop(observer);
    observer.advance(Phase::EncodeSource, first + count);
    at::Tensor video_CFHW = grey(canvas, count);
    if (control.frames.size() > 0) copy_frames(video_CFHW, first, control.frames, control.read);
    const at::Tensor is_free = canvas.known_mask().slice(0, first, first + count).eq(0);
    return (video_CFHW * is_free.view({1, -1, 1, 1})).unsqueeze(0);
  });
}

at::Tensor SourceEncoder::reference(const at::Tensor& picture_HWC) {
  const Size& size = plan_.canvas_size;
  return vae().encode(
      reference_on_white(picture_HWC, size.height, size.width, model_.vae.scale_factor_spatial));
}

at::Tensor SourceEncoder::followed(const Canvas& canvas, const Canvas::Follow& source,
                                   Observer& observer) {
  observer.begin(Phase::EncodeSource, canvas.num_frames());
  const at::Tensor latents = vae().encode(canvas.num_frames(), [&](int64_t first, int64_t count) {
    check_stop(observer);
    observer.advance(Phase::EncodeSource, first + count);
    at::Tensor video_CFHW = grey(canvas, count);
    // Where the source ends, its last frame stands: grey would bleed into the latents before it.
    const int64_t last = source.frames.stop - 1;
    if (first + count > source.frames.stop) {
      copy_frames(video_CFHW, first, {first, first + count}, [&](Stretch wanted) {
        return source.read({last, last + 1}).expand({wanted.size(), -1, -1, -1});
      });
    }
    copy_frames(video_CFHW, first, source.frames, source.read);
    return video_CFHW.unsqueeze(0);
  });
  return latents;
}

// Wan 2.1's image branch sees the pictures as they were given: the first and, where the model takes
// a pair, the last.
at::Tensor SourceEncoder::pictures(const Canvas& canvas) const {
  const size_t wanted = num_pictures_seen(model_);
  std::vector<at::Tensor> pictures_HWC = canvas.pictures();
  if (pictures_HWC.empty() && !canvas.is_free()) {
    const Stretch first = canvas.known().front().frames, last = canvas.known().back().frames;
    pictures_HWC = {canvas.read_known({first.start, first.start + 1})[0],
                    canvas.read_known({last.stop - 1, last.stop})[0]};
  }
  if (pictures_HWC.size() < wanted)
    fail(ErrorKind::Usage, "{} begins from {} pictures; there are {}", model_.name, wanted,
         pictures_HWC.size());
  const std::filesystem::path& processor = model_.parts.image_processor;
  const ClipImageConfig image_config =
      processor.empty() ? ClipImageConfig{}
                        : ClipImageConfig::from_config(ConfigReader::open(processor));
  std::vector<at::Tensor> pixels;
  for (size_t index = 0; index < wanted; ++index)
    pixels.push_back(clip_pixel_values(pictures_HWC[index], image_config));
  const ConfigReader config = read_config(WanPart::ImageEncoder, model_.parts.image_encoder);
  const Weights weights(open_weights(WanPart::ImageEncoder, model_.parts.image_encoder),
                        scalar_type(plan_.dtype), plan_.device);
  const ClipVision encoder(ClipVisionConfig::from_config(config), weights);
  return encoder(at::cat(pixels));
}

at::Tensor relay_bias(const std::vector<Said>& prompts, const LatentStrides& strides,
                      int64_t num_latent_frames) {
  const double sigma = 1 / std::log(1 / kRelayEpsilon);
  const auto stride = static_cast<double>(strides.temporal);
  at::Tensor bias_FP =
      at::empty({num_latent_frames, static_cast<int64_t>(prompts.size())}, at::kFloat);
  for (size_t p = 0; p < prompts.size(); ++p) {
    const Stretch& held = prompts[p].frames;
    const double middle = static_cast<double>(held.start + held.stop) / 2;
    const double reach =
        std::max(static_cast<double>(held.size()) / stride / 2 - kRelayMargin, 0.0);
    for (int64_t f = 0; f < num_latent_frames; ++f) {
      // The middle of the latent frame's video frames 4f-3 to 4f; the first one is frame 0 alone.
      const double time = f == 0 ? 0.5 : stride * static_cast<double>(f) + 1 - stride / 2;
      const double beyond = std::max(std::abs(time - middle) / stride - reach, 0.0);
      bias_FP[f][static_cast<int64_t>(p)] = -beyond * beyond / (2 * sigma * sigma);
    }
  }
  // Each text is heard somewhere, however briefly it holds. Then only the differences within a
  // frame count: the text that holds most has 0.
  bias_FP = bias_FP - bias_FP.amax(0, true);
  return bias_FP - bias_FP.amax(1, true);
}

Conditioning make_conditioning(const ModelInfo& model, const Plan& plan, const Canvas& window,
                               const EncodedTexts& texts, SourceEncoder& encoder,
                               Observer& observer) {
  const bool knows_single_frames = model.known_frames == KnownFrames::MaskChannels ||
                                   model.known_frames == KnownFrames::ControlBranch;
  const Canvas canvas = knows_single_frames ? window : window.with_whole_pictures(model.strides());
  Conditioning conditioning;
  conditioning.positive = encoded(texts, canvas.prompts().front().text);
  conditioning.negative = encoded(texts, plan.negative_prompt);
  if (canvas.prompts().size() > 1) {
    for (const Said& said : canvas.prompts())
      conditioning.timed.push_back(encoded(texts, said.text));
    const int64_t num_latent_frames = (canvas.num_frames() - 1) / model.strides().temporal + 1;
    const at::Tensor bias_FP = relay_bias(canvas.prompts(), model.strides(), num_latent_frames);
    // A reference picture belongs to all of the texts.
    const auto num_references = static_cast<int64_t>(canvas.references().size());
    conditioning.timed_bias_FP =
        at::cat({at::zeros({num_references, bias_FP.size(1)}, at::kFloat), bias_FP});
  }
  if (plan.layout.edit != EditMethod::None)
    conditioning.source = encoded(texts, plan.layout.source_prompt);
  conditioning.guidance_scale = plan.guidance_scale;
  conditioning.guidance_scale_2 = plan.guidance_scale_2;
  conditioning.guidance_low = plan.guidance_interval.low;
  conditioning.guidance_high = plan.guidance_interval.high;
  if (!canvas.is_free() || model.defaults.grey_without_frames) {
    conditioning.known_latents_1CFHW = encoder.known(canvas, observer);
    conditioning.known_frames = canvas.known_mask();
  }
  add_followed(model, canvas, encoder, conditioning, observer);
  if (model.known_frames == KnownFrames::ControlBranch) {
    conditioning.control_1CFHW =
        make_control(model, canvas, conditioning.known_latents_1CFHW, encoder, observer);
    conditioning.control_scale = plan.layout.control_scale;
  }
  encoder.end_window();
  if (model.wants_image_embeds) conditioning.image_embeds_BSD = encoder.pictures(canvas);
  return conditioning;
}

}  // namespace sora
