// The watermarks that an output asks for, as one step on the frames' way to the writer.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>

#include "lib/pipelines/request.h"
#include "lib/provenance/visible_mark.h"
#include "lib/provenance/watermark.h"

namespace sora {

class OutputMarks {
 public:
  OutputMarks(Watermark wanted, Size size, const std::string& manifest_json);

  // uint8 [F,H,W,3] on the CPU, the output's next ones. The same tensor where no mark is wanted.
  // The visible mark is drawn first, so that the invisible one is in all of the picture.
  at::Tensor operator()(const at::Tensor& frames_FHWC);

 private:
  std::optional<VisibleMark> visible_;
  std::optional<WatermarkEmbedder> invisible_;
};

}  // namespace sora
