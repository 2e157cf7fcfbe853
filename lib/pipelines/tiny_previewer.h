// Previews by the tiny decoder (TAEHV) of a model that decodes with one: a few frames, each by
// itself.
#pragma once

#include <memory>

#include "lib/pipelines/previewer.h"

namespace sora {

// Null for a model without a tiny decoder. Throws Error(Input) where its weights do not fit.
std::unique_ptr<Previewer> make_tiny_previewer(const ModelInfo& model, const Plan& plan);

}  // namespace sora
