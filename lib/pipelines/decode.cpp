// The writer takes chunks while the next one is being decoded; nothing here holds more than a chunk of frames.
#include "lib/pipelines/decode.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "lib/models/wan/parts.h"
#include "lib/models/wan/tiny_vae.h"
#include "lib/models/wan/vae.h"

namespace sora {
namespace {

// Frames of more pixels than this are decoded in tiles, which bounds the memory and leaves smaller ones seamless.
constexpr int64_t kMaxUntiledPixels = 1280 * 720;

// Latent frames whose traces the decoder still shows (Mobius, arXiv 2502.20307, decodes as many around a circle).
constexpr int64_t kDecoderMemory = 3;

// [1,3,F,H,W] in [-1,1] -> u8 [F,H,W,3], as diffusers' VideoProcessor rounds.
at::Tensor to_frames(const at::Tensor& chunk_1CFHW) {
  return chunk_1CFHW[0]
      .permute({1, 2, 3, 0})
      .to(at::kFloat)
      .mul(0.5)
      .add_(0.5)
      .clamp_(0, 1)
      .mul_(255)
      .round_()
      .to(at::kByte)
      .contiguous();
}

}  // namespace

bool tiles_frames(const Plan& plan) {
  return plan.canvas_size.width * plan.canvas_size.height > kMaxUntiledPixels;
}

Decoder load_decoder(const ModelInfo& model, const Plan& plan) {
  if (const std::filesystem::path& path = model.parts.tiny_vae; !path.empty()) {
    const auto tiny = model.part<TinyVae>("decoder " + path.string() + " " + plan.dtype, [&] {
      const auto checkpoint = std::make_shared<const Checkpoint>(Checkpoint::open(path));
      const Weights weights(checkpoint, scalar_type(plan.dtype));
      return std::make_shared<const TinyVae>(TinyVaeConfig::from_shapes(*checkpoint), weights);
    });
    return {[tiny](const at::Tensor& latents, const Decoder::TakeChunk& take) { tiny->decode(latents, take); },
            tiny->config().scale_factor_temporal()};
  }
  WanVae vae = *model.part<WanVae>("decoder " + plan.dtype, [&] {
    const Weights weights(open_weights(WanPart::Vae, model.parts.vae), scalar_type(plan.dtype));
    return std::make_shared<const WanVae>(model.vae, weights, WanVaeParts::Decoder);
  });
  if (tiles_frames(plan) || model.placement.tile_frames) vae.set_tiling(WanVaeTiling{});
  const int64_t temporal = vae.config().scale_factor_temporal;
  return {[vae = std::move(vae)](const at::Tensor& latents, const Decoder::TakeChunk& take) { vae.decode(latents, take); },
          temporal};
}

void decode(const Decoder& decoder, const at::Tensor& latents_1CFHW,
            const std::function<void(const at::Tensor& frames_FHWC)>& take_frames) {
  decoder.decode(latents_1CFHW, [&](const at::Tensor& chunk_1CFHW) { take_frames(to_frames(chunk_1CFHW)); });
}

void decode_circle(const Decoder& decoder, const at::Tensor& latents_1CFHW,
                   const std::function<void(const at::Tensor& frames_FHWC)>& take_frames) {
  const int64_t lead = std::min(kDecoderMemory, latents_1CFHW.size(2));
  int64_t left_out = (lead - 1) * decoder.temporal + 1;
  const at::Tensor led = at::cat({latents_1CFHW.slice(2, latents_1CFHW.size(2) - lead), latents_1CFHW}, 2);
  decoder.decode(led, [&](const at::Tensor& chunk_1CFHW) {
    const int64_t skipped = std::min(left_out, chunk_1CFHW.size(2));
    left_out -= skipped;
    if (skipped < chunk_1CFHW.size(2)) take_frames(to_frames(chunk_1CFHW.slice(2, skipped)));
  });
}

}  // namespace sora
