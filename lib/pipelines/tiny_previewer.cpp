// A whole clip would cost a twentieth of the VAE's time at every look; three frames of it, none of
// which sees another, tell as much.
#include "lib/pipelines/tiny_previewer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <vector>

#include "lib/pipelines/decode.h"

namespace sora {
namespace {

constexpr int64_t kFrames = 3;
constexpr int64_t kLongSide = 320;  // pixels; larger pictures are averaged down to about this

class TinyPreviewer : public Previewer {
 public:
  explicit TinyPreviewer(Decoder decoder) : decoder_(std::move(decoder)) {}

  at::Tensor operator()(const at::Tensor& latents_1CFHW) const override {
    const int64_t count = latents_1CFHW.size(2), shown = std::min(kFrames, count);
    std::vector<at::Tensor> frames;
    for (int64_t i = 0; i < shown; ++i) {
      const int64_t frame = shown == 1 ? 0 : i * (count - 1) / (shown - 1);
      decoder_.decode(latents_1CFHW.narrow(2, frame, 1), [&](const at::Tensor& frames_1CFHW) {
        frames.push_back(frames_1CFHW[0].select(1, 0).to(at::kCPU, at::kFloat));
      });
    }
    at::Tensor frames_FCHW = at::stack(frames);
    const int64_t by =
        std::max<int64_t>(1, std::max(frames_FCHW.size(2), frames_FCHW.size(3)) / kLongSide);
    frames_FCHW = at::avg_pool2d(frames_FCHW, by);
    return frames_FCHW.mul(127.5)
        .add_(127.5)
        .round_()
        .clamp_(0, 255)
        .to(at::kByte)
        .permute({0, 2, 3, 1})
        .contiguous();
  }

 private:
  Decoder decoder_;
};

}  // namespace

std::unique_ptr<Previewer> make_tiny_previewer(const ModelInfo& model, const Plan& plan) {
  if (model.parts.tiny_vae.empty()) return nullptr;
  return std::make_unique<TinyPreviewer>(load_decoder(model, plan));
}

}  // namespace sora
