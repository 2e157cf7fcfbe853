// What a run says of itself: the manifest, and the request in it.
#pragma once

#include <cstdint>
#include <string>

#include "lib/core/observer.h"
#include "lib/models/model_info.h"
#include "lib/pipelines/plan.h"
#include "lib/pipelines/request.h"
#include "lib/provenance/manifest.h"

namespace sora {

// The request with every wish the plan resolved, so that its recipe means the same in a later
// version.
Request resolved(Request request, const Plan& plan, const ModelInfo& model, uint64_t seed);

// All of the manifest that the variations of a request share: not the seed, nor the request itself.
// `preset` is the one that was asked for, or empty. Reads the sources and, where their digest is
// not known yet, the weights.
Manifest describe_making(const Request& request, const std::string& preset, const Plan& plan,
                         const ModelInfo& model, const Observer& observer);

}  // namespace sora
