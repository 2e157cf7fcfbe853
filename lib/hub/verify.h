// Whether a model's files are those that the hub has: `sora models verify`.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>

#include "lib/core/observer.h"

namespace sora {

// {files: [{path, sha256, state}], ok}. In the Hugging Face cache a file's blob is named after its
// digest; state is "ok", "damaged", with the blob's path as "blob", "missing" where the link to it
// leads nowhere, or "unnamed" where nothing says what it should be. Throws as sha256_of_file.
nlohmann::json verify_files(const std::filesystem::path& model, const Observer& observer);

}  // namespace sora
