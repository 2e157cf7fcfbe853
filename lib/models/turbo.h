// LoRAs that distil a model to a few steps without guidance (lightx2v, Lightning, CausVid,
// self-forcing, FastWan), found by the names their authors give them, with the schedule each needs.
#pragma once

#include <filesystem>

#include "lib/core/model_files.h"
#include "lib/models/model_info.h"

namespace sora {

// Adds the distillation that fits the model to model.loras and takes its schedule over as the
// model's own: steps, no guidance, noise levels, Euler; a notice tells them. Where the model's file
// is itself distilled, by its name, or one of `files.loras` is a known distillation, only the
// schedule changes. Looks into the "loras" folder of a model that is a directory, into those of the
// tree it lies in and of `files.models_dir`, and beside the model. Throws Error(NotFound) saying
// where was looked and what was found.
void apply_turbo(const ModelFiles& files, ModelInfo& model);

// Whether a LoRA with a known name lies in the model's own folder "loras".
bool has_own_distillation(const std::filesystem::path& model);

}  // namespace sora
