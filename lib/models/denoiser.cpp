// One family so far; another is its own folder and a branch on the class its model_index.json
// names.
#include "lib/models/denoiser.h"

#include "lib/models/wan/wan_denoiser.h"

namespace sora {

Denoiser::~Denoiser() = default;

std::unique_ptr<Denoiser> make_denoiser(const ModelInfo& model, const Arithmetic& arithmetic,
                                        at::Device device) {
  return std::make_unique<WanDenoiser>(model, arithmetic, device);
}

}  // namespace sora
