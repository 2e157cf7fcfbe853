#include "lib/gallery/family.h"

namespace sora {

Family::Family(const std::vector<GalleryClip>& clips) {
  for (const GalleryClip& clip : clips) by_sha256_.emplace(clip.sha256, &clip);
  for (const GalleryClip& clip : clips) {
    for (const std::string& source : clip.source_sha256) {
      if (source != clip.sha256 && by_sha256_.count(source)) children_[source].push_back(&clip);
    }
  }
}

std::vector<const GalleryClip*> Family::sources_of(const GalleryClip& clip) const {
  std::vector<const GalleryClip*> sources;
  for (const std::string& source : clip.source_sha256) {
    const auto found = by_sha256_.find(source);
    if (found != by_sha256_.end() && found->second != &clip) sources.push_back(found->second);
  }
  return sources;
}

std::vector<std::string> Family::unknown_sources(const GalleryClip& clip) const {
  std::vector<std::string> pictures;
  for (size_t i = 0; i < clip.source_sha256.size(); ++i) {
    const auto found = by_sha256_.find(clip.source_sha256[i]);
    if (found != by_sha256_.end() && found->second != &clip) continue;
    pictures.push_back(i < clip.source_pictures.size() ? clip.source_pictures[i] : "");
  }
  return pictures;
}

std::vector<const GalleryClip*> Family::made_from(const GalleryClip& clip) const {
  const auto found = children_.find(clip.sha256);
  return found == children_.end() ? std::vector<const GalleryClip*>{} : found->second;
}

std::string relation(const std::string& operation) {
  if (operation == "remix") return "remix of";
  if (operation == "extend") return "extended from";
  if (operation == "blend") return "blend of";
  if (operation == "loop") return "loop of";
  if (operation == "recut") return "re-cut of";
  return "made from";
}

}  // namespace sora
