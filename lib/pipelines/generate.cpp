// An image is one known frame, at the start or at the end of the canvas.
#include "lib/pipelines/generate.h"

#include <ATen/ATen.h>

#include "lib/core/error.h"
#include "lib/media/image.h"
#include "lib/media/resample.h"

namespace sora {
namespace {

at::Tensor read_frame(const std::string& path, Size size) {
  return resize(read_image(path), size.width, size.height, Fit::Crop).unsqueeze(0);
}

}  // namespace

Canvas generate(const GenerateRequest& request, const Plan& plan, const ModelInfo& model) {
  Canvas canvas(plan.canvas_size, plan.canvas_frames, request.prompt);
  if (request.image.empty()) return canvas;
  if (model.known_frames == KnownFrames::None) {
    fail(ErrorKind::Usage, "{} is a text to video model and cannot begin from --image; use an image to video model",
         model.name);
  }
  canvas.keep(read_frame(request.image, plan.canvas_size), 0);
  if (!request.last_image.empty()) {
    if (plan.canvas_frames < 2) fail(ErrorKind::Usage, "--last-image needs a clip of two frames or more");
    canvas.keep(read_frame(request.last_image, plan.canvas_size), plan.canvas_frames - 1);
  }
  return canvas;
}

}  // namespace sora
