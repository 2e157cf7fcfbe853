#include "lib/provenance/output_marks.h"

namespace sora {

OutputMarks::OutputMarks(Watermark wanted, Size size, const std::string& manifest_json) {
  if (has_visible(wanted)) visible_.emplace(size.width, size.height);
  if (has_invisible(wanted)) invisible_.emplace(watermark_payload(manifest_json));
}

at::Tensor OutputMarks::operator()(const at::Tensor& frames_FHWC) {
  at::Tensor frames = frames_FHWC;
  if (visible_) frames = (*visible_)(frames);
  if (invisible_) frames = (*invisible_)(frames);
  return frames;
}

}  // namespace sora
