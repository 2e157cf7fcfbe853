// Text, with or without a first and last image, to video.
#pragma once

#include "lib/pipelines/canvas.h"
#include "lib/pipelines/plan.h"

namespace sora {

// The images are cropped to the canvas' aspect and resized to it. Throws Error(Usage) where the model cannot begin
// from an image, Error(NotFound | Input) for a picture that cannot be read.
Canvas generate(const GenerateRequest& request, const Plan& plan, const ModelInfo& model);

}  // namespace sora
