// A gallery on http://127.0.0.1, brought up to date as clips land.
#pragma once

#include <functional>
#include <string>

#include "lib/gallery/gallery.h"

namespace sora {

// Serves the gallery, which make_gallery() has made, until the observer asks to stop. `port` 0
// takes a free one; `on_ready` is told the address. Throws Error(Io) where the port is taken.
void serve_gallery(const GalleryRequest& request, int port,
                   const std::function<void(const std::string& address)>& on_ready,
                   Observer& observer);

}  // namespace sora
