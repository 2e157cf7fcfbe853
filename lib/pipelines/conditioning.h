// From a canvas and its prompt to what the denoiser is told. Each stage loads its part of the model, uses it and lets
// it go, so that text encoder, VAE and transformer are never resident together.
#pragma once

#include "lib/core/observer.h"
#include "lib/models/denoiser.h"
#include "lib/pipelines/canvas.h"
#include "lib/pipelines/plan.h"

namespace sora {

// What the text encoder made of the prompts; independent of seed and size.
struct EncodedText {
  TextCondition positive;
  TextCondition negative;
};

// Encodes these in one pass over the encoder's weights and keeps them, in place of those kept before, for encode_text().
// `model.kept` is not null.
void keep_texts(const ModelInfo& model, const std::string& dtype, const std::vector<std::string>& texts,
                Observer& observer);

EncodedText encode_text(const ModelInfo& model, const Plan& plan, const std::string& prompt, Observer& observer);

// The canvas' known frames through the VAE's encoder, and the text, together.
Conditioning make_conditioning(const ModelInfo& model, const Plan& plan, const Canvas& canvas, const EncodedText& text,
                               Observer& observer);

}  // namespace sora
