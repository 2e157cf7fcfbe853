// Which weights a clip was made with: the digests of all files that a model is put together from.
#pragma once

#include <vector>

#include "lib/models/model_info.h"
#include "lib/provenance/digest.h"

namespace sora {

// Of a directory with all its parts: as digest_model. Where parts lie elsewhere, each under the
// name of its part ("vae/wan_2.1_vae.safetensors"). Throws as digest_model.
std::vector<FileDigest> digest_model(const ModelInfo& model, const DigestCache& cache,
                                     const Observer& observer = {});

}  // namespace sora
