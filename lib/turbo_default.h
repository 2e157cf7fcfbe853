// Which requests a model that prefers few steps answers with its turbo form unasked.
#pragma once

#include <filesystem>

#include "lib/sora.h"

namespace sora {

// The request, with --turbo where it says nothing about sampling and its model is one that prefers
// it. `built_in`: where the built-in models lie. Throws Error(NotFound) where there is no such
// model.
Request with_turbo_default(Request request, const std::filesystem::path& built_in);

}  // namespace sora
