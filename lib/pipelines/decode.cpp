// The writer takes chunks while the next one is being decoded; nothing here holds more than a chunk
// of frames, or of a device those on their way from it (frame_ring.h).
#include "lib/pipelines/decode.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "lib/models/wan/parts.h"
#include "lib/models/wan/tiny_vae.h"
#include "lib/models/wan/vae.h"
#include "lib/pipelines/frame_ring.h"

namespace sora {
namespace {

// Frames of more pixels than this are decoded in tiles, which bounds the memory and leaves smaller
// ones seamless.
constexpr int64_t kMaxUntiledPixels = 1280 * 720;

// [1,3,F,H,W] in [-1,1] -> u8 [F,H,W,3], as diffusers' VideoProcessor rounds; where the chunk is.
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
    const auto tiny = model.part<TinyVae>(
        "decoder " + path.string() + " " + plan.dtype + " " + plan.device.str(), [&] {
          const auto checkpoint = std::make_shared<const Checkpoint>(Checkpoint::open(path));
          const Weights weights(checkpoint, scalar_type(plan.dtype), plan.device);
          return std::make_shared<const TinyVae>(TinyVaeConfig::from_shapes(*checkpoint), weights);
        });
    return {[tiny](const at::Tensor& latents, const Decoder::TakeChunk& take) {
              tiny->decode(latents, take);
            },
            tiny->config().scale_factor_temporal()};
  }
  WanVae vae = *model.part<WanVae>("decoder " + plan.dtype + " " + plan.device.str(), [&] {
    const Weights weights(open_weights(WanPart::Vae, model.parts.vae), scalar_type(plan.dtype),
                          plan.device);
    return std::make_shared<const WanVae>(model.vae, weights, WanVaeParts::Decoder);
  });
  if (tiles_frames(plan) || model.placement.tile_frames) vae.set_tiling(WanVaeTiling{});
  const int64_t temporal = vae.config().scale_factor_temporal;
  return {[vae = std::move(vae)](const at::Tensor& latents, const Decoder::TakeChunk& take) {
            vae.decode(latents, take);
          },
          temporal};
}

void decode(const Decoder& decoder, const at::Tensor& latents_1CFHW,
            const std::function<void(const at::Tensor& frames_FHWC)>& take_frames) {
  FrameRing ring(take_frames);
  decoder.decode(latents_1CFHW,
                 [&](const at::Tensor& chunk_1CFHW) { ring.push(to_frames(chunk_1CFHW)); });
  ring.finish();
}

void decode_circle(const Decoder& decoder, const at::Tensor& latents_1CFHW,
                   const std::function<void(const at::Tensor& frames_FHWC)>& take_frames) {
  const int64_t count = latents_1CFHW.size(2);
  // The circle is opened in the middle of a latent frame: from one to the next a decoder flickers
  // most.
  const int64_t first = (kCircleLead - 1) * decoder.temporal + 1 + decoder.temporal / 2;
  const int64_t stop = first + count * decoder.temporal;
  int64_t next = 0;
  FrameRing ring(take_frames);
  const at::Tensor led_1CFHW =
      latents_1CFHW.index_select(2, at::arange(-kCircleLead, count + 1).remainder(count));
  decoder.decode(led_1CFHW, [&](const at::Tensor& chunk_1CFHW) {
    const int64_t from = std::max(first - next, int64_t{0});
    const int64_t to = std::min(stop - next, chunk_1CFHW.size(2));
    next += chunk_1CFHW.size(2);
    if (from < to) ring.push(to_frames(chunk_1CFHW.slice(2, from, to)));
  });
  ring.finish();
}

}  // namespace sora
