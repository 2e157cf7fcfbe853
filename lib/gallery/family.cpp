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

int64_t Family::num_unknown_sources(const GalleryClip& clip) const {
  return static_cast<int64_t>(clip.source_sha256.size() - sources_of(clip).size());
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
