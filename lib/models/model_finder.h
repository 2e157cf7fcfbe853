// From what a user names to the files a model is made of: a built-in model, a diffusers directory,
// a snapshot in the Hugging Face cache, or a transformer in a single file with its companions in
// the folders where ComfyUI keeps them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lib/core/model_files.h"
#include "lib/models/model_info.h"

namespace sora {

// The directory or file that a name stands for: one of the models in `built_in` (the folder that
// comes with the program), one below `files.models_dir`, a path, or org/name[@revision][/file] in
// the Hugging Face cache. Throws Error(NotFound) saying where was looked.
std::filesystem::path find_model(const std::string& name, const std::filesystem::path& built_in,
                                 const ModelFiles& files = {});

// The companions of a transformer in a file (or component directory): those named in `files`, else
// those in the file itself, in `files.models_dir`, in the tree of folders that the file lies in, or
// beside it, as far as their shapes fit. The two experts of Wan 2.2 find each other by their names
// ("high" and "low"). `notices` is told which were chosen. Throws Error(NotFound) naming the part
// that is missing and the option that gives it.
ModelPaths find_companions(const std::filesystem::path& transformer, const ModelFiles& files,
                           std::vector<std::string>& notices);

// The tokenizer of a text encoder's file or component directory: that of `files`, else the one
// inside, beside, or in the Hugging Face cache, which `notices` is told. Throws Error(NotFound).
std::filesystem::path find_tokenizer(const ModelFiles& files,
                                     const std::filesystem::path& text_encoder,
                                     std::vector<std::string>& notices);

// Sets parts.control to the VACE module that `files` names: a path, the name of a file among the
// transformers of `files.models_dir` or of the tree that the model at `model` lies in, or
// org/name[@revision]/file in the Hugging Face cache. Of two experts each gets its own, told apart
// by "high" and "low" in their names, or both the same where the name says neither. Throws
// Error(NotFound) where one is missing.
void find_control(const ModelFiles& files, const std::filesystem::path& model, ModelPaths& parts,
                  std::vector<std::string>& notices);

}  // namespace sora
