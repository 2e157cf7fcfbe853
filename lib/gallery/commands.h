// The commands that a clip's page offers, made from its manifest.
#pragma once

#include <string>

#include "lib/gallery/gallery.h"

namespace sora {

// What makes the clip again with every setting spelled out; empty where the clip carries no
// request.
std::string again_command(const GalleryClip& clip);
// What changes it into something else.
std::string remix_command(const GalleryClip& clip);

}  // namespace sora
