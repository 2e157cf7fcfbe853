#include "lib/models/comfy_folders.h"

#include <algorithm>
#include <iterator>

#include "lib/core/ascii.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxDepth = 4;  // of folders below one of ComfyUI's

// ComfyUI's folders (folder_paths.py), the older names behind the newer.
constexpr const char* kTransformerFolders[] = {"diffusion_models", "unet", "checkpoints"};

bool is_weight_file(const fs::path& path) {
  const std::string extension = ascii_lower(path.extension().string());
  return extension == ".safetensors" || extension == ".gguf";
}

// The folder that holds ComfyUI's: itself, or the "models" below it.
fs::path comfy_root(const fs::path& folder) {
  const bool is_root = std::any_of(std::begin(kTransformerFolders), std::end(kTransformerFolders),
                                   [&](const char* each) { return fs::exists(folder / each); });
  return !is_root && fs::is_directory(folder / "models") ? folder / "models" : folder;
}

std::optional<fs::path> comfy_root_above(const fs::path& file) {
  fs::path at = fs::absolute(file).parent_path();
  for (int depth = 0; depth <= kMaxDepth && at.has_relative_path(); ++depth) {
    for (const char* folder : kTransformerFolders) {
      if (at.filename() == folder) return at.parent_path();
    }
    at = at.parent_path();
  }
  return std::nullopt;
}

}  // namespace

std::vector<fs::path> weight_files(const fs::path& directory, bool recursive) {
  std::vector<fs::path> found;
  std::error_code error;
  const auto options = fs::directory_options::follow_directory_symlink |
                       fs::directory_options::skip_permission_denied;
  fs::recursive_directory_iterator entry(directory, options, error);
  for (const fs::recursive_directory_iterator end; !error && entry != end; entry.increment(error)) {
    if (!recursive || entry.depth() >= kMaxDepth) entry.disable_recursion_pending();
    std::error_code unreadable;
    if (is_weight_file(entry->path()) && entry->is_regular_file(unreadable))
      found.push_back(entry->path());
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::vector<fs::path> comfy_roots(const fs::path& model, const ModelFiles& files) {
  std::vector<fs::path> roots;
  if (!files.models_dir.empty()) roots.push_back(comfy_root(files.models_dir));
  if (const auto root = comfy_root_above(model)) roots.push_back(*root);
  return roots;
}

std::optional<fs::path> find_transformer_file(const std::string& name, const fs::path& models_dir) {
  const fs::path root = comfy_root(models_dir);
  for (const char* folder : kTransformerFolders) {
    for (const fs::path& file : weight_files(root / folder, /*recursive=*/true)) {
      const fs::path relative = file.lexically_relative(root / folder);
      if (file.filename() == name || file.stem() == name || relative == name) return file;
    }
  }
  return std::nullopt;
}

std::vector<fs::path> transformer_files(const fs::path& models_dir) {
  std::vector<fs::path> files;
  for (const char* folder : kTransformerFolders) {
    for (const fs::path& file : weight_files(comfy_root(models_dir) / folder, /*recursive=*/true))
      files.push_back(file);
  }
  return files;
}

std::vector<fs::path> lora_folders(const fs::path& model, const ModelFiles& files) {
  std::vector<fs::path> folders;
  if (fs::is_directory(model)) folders.push_back(model / "loras");
  for (const fs::path& root : comfy_roots(model, files)) folders.push_back(root / "loras");
  const fs::path beside = fs::absolute(model).parent_path();
  folders.push_back(beside / "loras");
  folders.push_back(beside);
  return folders;
}

std::vector<fs::path> tiny_vae_folders(const fs::path& model, const ModelFiles& files) {
  std::vector<fs::path> folders;
  for (const fs::path& root : comfy_roots(model, files)) {
    for (const char* folder : {"vae_approx", "vae"}) folders.push_back(root / folder);
  }
  if (fs::is_directory(model)) folders.push_back(fs::absolute(model));
  folders.push_back(fs::absolute(model).parent_path());
  return folders;
}

std::vector<fs::path> weight_files_in(const fs::path& folder) {
  return weight_files(folder, folder.filename() == "loras");
}

}  // namespace sora
