// The gallery's web pages as text.
#pragma once

#include <string>
#include <vector>

#include "lib/gallery/family.h"
#include "lib/gallery/gallery.h"

namespace sora {

std::string index_page(const std::string& title);
std::string clip_page(const GalleryClip& clip, const Family& family, const std::string& title);

struct PageData {
  std::string script;   // sets `soraGallery`, version included
  std::string version;  // the same only for the same cards
};

// What index.html reads. `featured` holds IDs, in their order.
PageData page_data(const std::vector<GalleryClip>& clips, const std::vector<std::string>& featured);

}  // namespace sora
