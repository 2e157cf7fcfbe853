// The folders in which ComfyUI keeps models: of a models directory, or of the tree that a file lies
// in.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lib/core/model_files.h"

namespace sora {

// The roots of such trees that a model at `model` belongs to: that of `files.models_dir`, and the
// one it lies in.
std::vector<std::filesystem::path> comfy_roots(const std::filesystem::path& model,
                                               const ModelFiles& files);

// A transformer's file in `models_dir`, by its name with or without extension or folders.
std::optional<std::filesystem::path> find_transformer_file(const std::string& name,
                                                           const std::filesystem::path& models_dir);

// The weight files in the folders of `models_dir` that hold transformers, sorted.
std::vector<std::filesystem::path> transformer_files(const std::filesystem::path& models_dir);

// Folders in which tiny decoders for the model at `model` may lie.
std::vector<std::filesystem::path> tiny_vae_folders(const std::filesystem::path& model,
                                                    const ModelFiles& files);
// Folders in which LoRAs for the model at `model` may lie, and the weight files in one, sorted.
std::vector<std::filesystem::path> lora_folders(const std::filesystem::path& model,
                                                const ModelFiles& files);
std::vector<std::filesystem::path> weight_files_in(const std::filesystem::path& folder);
// Those in a folder, and in the folders below it where `recursive`, sorted.
std::vector<std::filesystem::path> weight_files(const std::filesystem::path& folder,
                                                bool recursive);

}  // namespace sora
