// The gallery's web pages as text.
#pragma once

#include <string>
#include <vector>

#include "lib/gallery/family.h"
#include "lib/gallery/gallery.h"

namespace sora {

std::string index_page(const std::string& title);
std::string clip_page(const GalleryClip& clip, const Family& family, const std::string& title);

// What index.html reads: a script that sets `soraGallery`. `featured` holds IDs, in their order.
std::string page_data(const std::vector<GalleryClip>& clips,
                      const std::vector<std::string>& featured);

}  // namespace sora
