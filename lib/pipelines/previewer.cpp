// A tiny decoder shows most where one was chosen. A map that lies beside the model was fitted on
// clips; without one, the decoder itself is asked once.
#include "lib/pipelines/previewer.h"

#include "lib/core/error.h"
#include "lib/pipelines/colour_map.h"
#include "lib/pipelines/decode.h"
#include "lib/pipelines/tiny_previewer.h"

namespace sora {
namespace {

constexpr const char* kMapFile = "preview.json";

std::unique_ptr<Previewer> tiny_decoder(const ModelInfo& model, const Plan& plan,
                                        const std::string&, const std::filesystem::path&) {
  return make_tiny_previewer(model, plan);
}

std::unique_ptr<Previewer> fitted_map(const ModelInfo& model, const Plan&,
                                      const std::string& fingerprint,
                                      const std::filesystem::path&) {
  const std::optional<ColourMap> map =
      read_colour_map(model.path / kMapFile, fingerprint, model.vae.z_dim);
  return map ? std::make_unique<ColourMapPreviewer>(*map) : nullptr;
}

std::unique_ptr<Previewer> measured_map(const ModelInfo& model, const Plan& plan,
                                        const std::string& fingerprint,
                                        const std::filesystem::path& cache_folder) {
  const std::filesystem::path kept =
      cache_folder.empty() ? cache_folder : cache_folder / (fingerprint + ".json");
  if (!kept.empty()) {
    if (auto map = read_colour_map(kept, fingerprint, model.vae.z_dim))
      return std::make_unique<ColourMapPreviewer>(*map);
  }
  const ColourMap map = measure_colour_map(load_decoder(model, plan), model.vae.z_dim);
  try {
    if (!kept.empty()) {
      std::filesystem::create_directories(cache_folder);
      write_colour_map(kept, fingerprint, map);
    }
  } catch (const std::exception&) {
    // Without a cache the next run measures again.
  }
  return std::make_unique<ColourMapPreviewer>(map);
}

using MakePreviewer = std::unique_ptr<Previewer> (*)(const ModelInfo&, const Plan&,
                                                     const std::string&,
                                                     const std::filesystem::path&);

// Best first; one that returns null has nothing for the model.
constexpr MakePreviewer kPreviewers[] = {tiny_decoder, fitted_map, measured_map};

}  // namespace

Previewer::~Previewer() = default;

std::unique_ptr<Previewer> make_previewer(const ModelInfo& model, const Plan& plan,
                                          const std::string& vae_fingerprint,
                                          const std::filesystem::path& cache_folder) {
  for (const MakePreviewer make : kPreviewers) {
    if (std::unique_ptr<Previewer> previewer = make(model, plan, vae_fingerprint, cache_folder))
      return previewer;
  }
  fail(ErrorKind::Internal, "no previewer took {}", model.name);
}

}  // namespace sora
