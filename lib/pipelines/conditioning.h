// From a canvas and its texts to what the denoiser is told. Each stage loads its part of the model
// and lets it go again, so that text encoder, VAE and transformer are not resident together longer
// than they are needed.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/core/observer.h"
#include "lib/models/denoiser.h"
#include "lib/models/wan/vae.h"
#include "lib/pipelines/canvas.h"
#include "lib/pipelines/plan.h"

namespace sora {

// What the text encoder made of every text of a plan; independent of seed and size.
using EncodedTexts = std::map<std::string, TextCondition>;

// In what and where texts are encoded.
struct TextArithmetic {
  std::string dtype;  // as Plan::dtype
  at::Device device = at::kCPU;
};

// Every text of a plan, each once.
std::vector<std::string> texts_of(const Plan& plan);

// Encodes these in one pass over the encoder's weights and keeps them, in place of those kept
// before, for encode_texts_of(). `model.kept` is not null.
void keep_texts(const ModelInfo& model, const TextArithmetic& arithmetic,
                const std::vector<std::string>& texts, Observer& observer);

EncodedTexts encode_texts_of(const ModelInfo& model, const Plan& plan, Observer& observer);

// The VAE's encoder, and the image encoder where the model has one. Keeps what further windows will
// want again.
class SourceEncoder {
 public:
  SourceEncoder(const ModelInfo& model, const Plan& plan);

  // Normalised latents [1,C,F,H,W] of the canvas' known frames, unknown ones grey.
  at::Tensor known(const Canvas& canvas, Observer& observer);
  // What the control says of free frames; grey elsewhere.
  at::Tensor controlling(const Canvas& canvas, Observer& observer);
  // One latent frame of a reference picture, shown whole on white.
  at::Tensor reference(const at::Tensor& picture_HWC);
  // Of a source that frames follow; frames outside of it grey.
  at::Tensor followed(const Canvas& canvas, const Canvas::Follow& source, Observer& observer);
  // Hidden states of the image encoder for the user's pictures, or else for the first and last
  // known frame. Throws Error(Usage) where there are too few.
  at::Tensor pictures(const Canvas& canvas) const;
  // Drops the VAE where no further window will want it.
  void end_window();

 private:
  const WanVae& vae();

  const ModelInfo& model_;
  const Plan& plan_;
  std::optional<WanVae> vae_;
};

// The attention bias [latent frames, texts] of texts that hold one after the other: zero in a
// text's own time, falling steeply beyond it (Prompt Relay, arXiv 2604.10030). `prompts` are in
// frames.
at::Tensor relay_bias(const std::vector<Said>& prompts, const LatentStrides& strides,
                      int64_t num_latent_frames);

// Known and followed frames go through the VAE's encoder.
Conditioning make_conditioning(const ModelInfo& model, const Plan& plan, const Canvas& window,
                               const EncodedTexts& texts, SourceEncoder& encoder,
                               Observer& observer);

}  // namespace sora
