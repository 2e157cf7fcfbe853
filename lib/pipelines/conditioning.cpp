// Unknown frames go to the VAE as mid-grey (0 in [-1,1]), as Wan's image to video pipelines do.
#include "lib/pipelines/conditioning.h"

#include <ATen/ATen.h>

#include "lib/core/config_reader.h"
#include "lib/core/error.h"
#include "lib/models/wan/clip_vision.h"
#include "lib/models/wan/parts.h"
#include "lib/models/wan/vae.h"
#include "lib/text/prompt_embeds.h"

namespace sora {
namespace {

constexpr const char* kKeptTexts = "text ";

std::string kept_text(const std::string& dtype, const std::string& text) { return kKeptTexts + dtype + " " + text; }

at::ScalarType scalar_type(const std::string& dtype) { return dtype == "bf16" ? at::kBFloat16 : at::kFloat; }
at::ScalarType scalar_type(const Plan& plan) { return scalar_type(plan.dtype); }

// Video frames [first, first + count) of the canvas, [1,3,count,H,W] in [-1,1].
at::Tensor read_canvas(const Canvas& canvas, int64_t first, int64_t count) {
  at::Tensor video_CFHW = at::zeros({3, count, canvas.size().height, canvas.size().width}, at::kFloat);
  for (const Canvas::Known& known : canvas.known()) {
    const int64_t from = std::max(first, known.start);
    const int64_t to = std::min(first + count, known.stop());
    if (from >= to) continue;
    const at::Tensor frames_FHWC = known.frames_FHWC.slice(0, from - known.start, to - known.start);
    video_CFHW.slice(1, from - first, to - first)
        .copy_(frames_FHWC.permute({3, 0, 1, 2}).to(at::kFloat).mul(2.0 / 255.0).sub(1.0));
  }
  return video_CFHW.unsqueeze(0);
}

at::Tensor encode_known(const ModelInfo& model, const Plan& plan, const Canvas& canvas, Observer& observer) {
  observer.begin(Phase::EncodeSource, canvas.num_frames());
  const WanVae vae(model.vae, Weights(open_weights(WanPart::Vae, model.parts.vae), scalar_type(plan)), WanVaeParts::Encoder);
  return vae.encode(canvas.num_frames(), [&](int64_t first, int64_t count) {
    check_stop(observer);
    observer.advance(Phase::EncodeSource, first + count);
    return read_canvas(canvas, first, count);
  });
}

// Wan 2.1's image branch sees the pictures as they were given: the first and, where the model takes a pair, the last.
at::Tensor encode_pictures(const ModelInfo& model, const Plan& plan, const Canvas& canvas) {
  const size_t wanted = model.transformer.pos_embed_seq_len ? 2 : 1;
  if (canvas.pictures().size() < wanted) {
    fail(ErrorKind::Usage, "{} begins from {}; give {}", model.name, wanted == 2 ? "two pictures" : "a picture",
         wanted == 2 ? "--image and --last-image" : "--image");
  }
  const std::filesystem::path& processor = model.parts.image_processor;
  const ClipImageConfig image_config =
      processor.empty() ? ClipImageConfig{} : ClipImageConfig::from_config(ConfigReader::open(processor));
  std::vector<at::Tensor> pixels;
  for (size_t index = 0; index < wanted; ++index) {
    pixels.push_back(clip_pixel_values(canvas.pictures()[index], image_config));
  }
  const ConfigReader config = read_config(WanPart::ImageEncoder, model.parts.image_encoder);
  const Weights weights(open_weights(WanPart::ImageEncoder, model.parts.image_encoder), scalar_type(plan));
  const ClipVision encoder(ClipVisionConfig::from_config(config), weights);
  return encoder(at::cat(pixels));
}

}  // namespace

std::vector<TextCondition> encode_texts(const ModelInfo& model, const std::string& dtype,
                                        const std::vector<std::string>& texts, Observer& observer) {
  const Tokenizer tokenizer = Tokenizer::open(model.parts.tokenizer);
  const Umt5Encoder encoder = Umt5Encoder::open(model.parts.text_encoder, scalar_type(dtype));
  std::vector<TextCondition> conditions;
  for (EncodedPrompt& text : encode_texts(tokenizer, encoder, texts, model.defaults.max_sequence_length, observer)) {
    conditions.push_back({std::move(text.embeds_TD), text.num_tokens});
  }
  return conditions;
}

void keep_texts(const ModelInfo& model, const std::string& dtype, const std::vector<std::string>& texts,
                Observer& observer) {
  model.kept->drop(kKeptTexts);
  const std::vector<TextCondition> conditions = encode_texts(model, dtype, texts, observer);
  for (size_t index = 0; index < texts.size(); ++index) {
    model.kept->get<TextCondition>(kept_text(dtype, texts[index]),
                                   [&] { return std::make_shared<const TextCondition>(conditions[index]); });
  }
}

EncodedText encode_text(const ModelInfo& model, const Plan& plan, const std::string& prompt, Observer& observer) {
  if (model.kept) {
    const auto positive = model.kept->find<TextCondition>(kept_text(plan.dtype, prompt));
    const auto negative = model.kept->find<TextCondition>(kept_text(plan.dtype, plan.negative_prompt));
    if (positive && negative) return {*positive, *negative};
  }
  const std::vector<TextCondition> texts = encode_texts(model, plan.dtype, {prompt, plan.negative_prompt}, observer);
  return {texts[0], texts[1]};
}

Conditioning make_conditioning(const ModelInfo& model, const Plan& plan, const Canvas& canvas, const EncodedText& text,
                               Observer& observer) {
  Conditioning conditioning;
  conditioning.positive = text.positive;
  conditioning.negative = text.negative;
  conditioning.guidance_scale = plan.guidance_scale;
  conditioning.guidance_scale_2 = plan.guidance_scale_2;
  if (!canvas.is_free()) {
    conditioning.known_latents_1CFHW = encode_known(model, plan, canvas, observer);
    conditioning.known_frames = canvas.known_mask();
  }
  if (model.wants_image_embeds) conditioning.image_embeds_BSD = encode_pictures(model, plan, canvas);
  return conditioning;
}

}  // namespace sora
