#include "lib/models/tiny_vae_choice.h"

#include <fmt/ranges.h>

#include "lib/core/error.h"
#include "lib/models/comfy_folders.h"
#include "lib/models/wan/tiny_vae.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

bool fits(const TinyVaeConfig& tiny, const WanVaeConfig& vae) {
  return tiny.latent_channels == vae.z_dim &&
         tiny.scale_factor_spatial() == vae.scale_factor_spatial &&
         tiny.scale_factor_temporal() == vae.scale_factor_temporal;
}

bool is_fitting_file(const fs::path& path, const WanVaeConfig& vae) {
  try {
    return fits(TinyVaeConfig::from_shapes(Checkpoint::open(path)), vae);
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

void choose_tiny_vae(const ModelFiles& files, ModelInfo& model) {
  const WanVaeConfig& vae = model.vae;
  if (!files.tiny_vae.empty()) {
    if (!fs::exists(files.tiny_vae))
      fail(ErrorKind::NotFound, "--tiny-vae {}: there is no such file", files.tiny_vae);
    const TinyVaeConfig tiny = TinyVaeConfig::from_shapes(Checkpoint::open(files.tiny_vae));
    if (!fits(tiny, vae)) {
      fail(ErrorKind::Input,
           "{} decodes latents of {} channels at {}x{}x{}, but {}'s have {} at {}x{}x{}; Wan 2.1 "
           "takes taew2_1, Wan 2.2 5B "
           "taew2_2",
           files.tiny_vae, tiny.latent_channels, tiny.scale_factor_spatial(),
           tiny.scale_factor_spatial(), tiny.scale_factor_temporal(), model.name, vae.z_dim,
           vae.scale_factor_spatial, vae.scale_factor_spatial, vae.scale_factor_temporal);
    }
    model.parts.tiny_vae = files.tiny_vae;
    return;
  }
  if (!files.draft) return;
  std::vector<std::string> places;
  for (const fs::path& folder : tiny_vae_folders(model.path, files)) {
    places.push_back(folder.string());
    for (const fs::path& file : weight_files_in(folder)) {
      if (!is_fitting_file(file, vae)) continue;
      model.parts.tiny_vae = file;
      model.notices.push_back(fmt::format("decoded with {}", file.string()));
      return;
    }
  }
  fail(ErrorKind::NotFound,
       "--draft needs a tiny decoder for {} (taew2_1 or taew2_2, as safetensors), and there is "
       "none that fits in {}; name one "
       "with --tiny-vae",
       model.name, fmt::join(places, ", "));
}

}  // namespace sora
