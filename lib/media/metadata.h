// The manifest that travels with a clip: inside the container as its comment where the container
// keeps it, else in a side file, clip.gif.json beside clip.gif.
#pragma once

#include <string>

namespace sora {

class MediaInput;

std::string sidecar_path(const std::string& path);

// Throws as OutputFile does.
void write_sidecar(const std::string& path, const std::string& metadata_json, bool force);

// The comment of an opened file, if it is a JSON object; else empty.
std::string embedded_metadata(MediaInput& input);

// The text of the side file, if there is one with a JSON object; else empty.
std::string sidecar_metadata(const std::string& path);

}  // namespace sora
