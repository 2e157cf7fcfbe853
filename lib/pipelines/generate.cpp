// An image is one known frame, at the start or at the end of the canvas.
#include "lib/pipelines/generate.h"

#include <ATen/ATen.h>

#include "lib/core/error.h"
#include "lib/media/image.h"
#include "lib/media/resample.h"

namespace sora {
namespace {

void keep_picture(const std::string& path, int64_t frame, Canvas& canvas) {
  const at::Tensor picture_HWC = read_image(path);
  canvas.keep(resize(picture_HWC, canvas.size().width, canvas.size().height, Fit::Crop).unsqueeze(0), frame);
  canvas.show(picture_HWC);
}

}  // namespace

Canvas generate(const GenerateRequest& request, const Plan& plan, const ModelInfo& model) {
  Canvas canvas(plan.canvas_size, plan.canvas_frames, request.prompt);
  if (request.image.empty()) return canvas;
  if (model.known_frames == KnownFrames::None) {
    fail(ErrorKind::Usage, "{} is a text to video model and cannot begin from --image; use an image to video model",
         model.name);
  }
  keep_picture(request.image, 0, canvas);
  if (!request.last_image.empty()) {
    if (plan.canvas_frames < 2) fail(ErrorKind::Usage, "--last-image needs a clip of two frames or more");
    keep_picture(request.last_image, plan.canvas_frames - 1, canvas);
  }
  return canvas;
}

}  // namespace sora
