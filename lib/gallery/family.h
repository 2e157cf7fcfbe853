// Who was made from whom: a clip's manifest names its sources by SHA-256, and those that are in the
// gallery are found.
#pragma once

#include <string>
#include <unordered_map>
#include <vector>

#include "lib/gallery/gallery.h"

namespace sora {

class Family {
 public:
  explicit Family(const std::vector<GalleryClip>& clips);  // `clips` must outlive it

  std::vector<const GalleryClip*> sources_of(const GalleryClip& clip) const;
  // Of the sources that are not in the gallery, the pictures that came with the clip; "" where none
  // did.
  std::vector<std::string> unknown_sources(const GalleryClip& clip) const;
  std::vector<const GalleryClip*> made_from(const GalleryClip& clip) const;

 private:
  std::unordered_map<std::string, const GalleryClip*> by_sha256_;
  std::unordered_map<std::string, std::vector<const GalleryClip*>> children_;
};

// "remix of", "extended from", ...: how an operation's result stands to its source.
std::string relation(const std::string& operation);

}  // namespace sora
