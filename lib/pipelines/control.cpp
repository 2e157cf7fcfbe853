#include "lib/pipelines/control.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "lib/core/error.h"
#include "lib/media/resample.h"

namespace sora {

at::Tensor control_mask(const at::Tensor& free_frames, const LatentStrides& strides) {
  const int64_t num_latent_frames = (free_frames.size(0) + strides.temporal - 1) / strides.temporal;
  const at::Tensor nearest =
      at::_upsample_nearest_exact1d(free_frames.view({1, 1, -1}), {num_latent_frames});
  return nearest.view({1, 1, -1, 1, 1}).expand({1, strides.spatial * strides.spatial, -1, 1, 1});
}

at::Tensor reference_on_white(const at::Tensor& picture_HWC, int64_t height, int64_t width,
                              int64_t grid) {
  const int64_t rows = picture_HWC.size(0) / grid * grid,
                columns = picture_HWC.size(1) / grid * grid;
  if (rows == 0 || columns == 0) {
    fail(ErrorKind::Input,
         "a reference picture of {}x{} is too small; take one of {} pixels a side or more",
         picture_HWC.size(1), picture_HWC.size(0), grid);
  }
  const at::Tensor on_grid = resize(picture_HWC, columns, rows, Fit::Stretch);
  const at::Tensor picture_13HW =
      on_grid.permute({2, 0, 1}).unsqueeze(0).to(at::kFloat).div(255.0).mul(2.0).sub(1.0);
  const double scale = std::min(static_cast<double>(height) / static_cast<double>(rows),
                                static_cast<double>(width) / static_cast<double>(columns));
  const auto scaled = [&](int64_t side) {
    return std::max<int64_t>(1, static_cast<int64_t>(static_cast<double>(side) * scale));
  };
  const int64_t inner_rows = scaled(rows), inner_columns = scaled(columns);
  const at::Tensor inner =
      at::upsample_bilinear2d(picture_13HW, {inner_rows, inner_columns}, /*align_corners=*/false);
  at::Tensor frame_13HW = at::ones({1, 3, height, width}, at::kFloat);
  const int64_t top = (height - inner_rows) / 2, left = (width - inner_columns) / 2;
  frame_13HW.slice(2, top, top + inner_rows).slice(3, left, left + inner_columns).copy_(inner);
  return frame_13HW.unsqueeze(2);
}

at::Tensor make_control(const ModelInfo& model, const Canvas& canvas, const at::Tensor& known_1CFHW,
                        SourceEncoder& encoder, Observer& observer) {
  const at::Tensor inactive = known_1CFHW.defined() ? known_1CFHW : encoder.known(canvas, observer);
  // Without known and without controlling frames both are one and the same grey clip.
  const bool is_plain = canvas.is_free() && canvas.controlling().frames.size() <= 0;
  const at::Tensor reactive = is_plain ? inactive : encoder.controlling(canvas, observer);
  at::Tensor latents = at::cat({inactive, reactive}, 1);
  at::Tensor mask = control_mask(1 - canvas.known_mask(), model.strides())
                        .to(latents.device())
                        .expand({1, -1, latents.size(2), latents.size(3), latents.size(4)});
  for (const at::Tensor& picture : canvas.references()) {
    const at::Tensor reference = encoder.reference(picture);
    latents = at::cat({at::cat({reference, at::zeros_like(reference)}, 1), latents}, 2);
  }
  const auto num_references = static_cast<int64_t>(canvas.references().size());
  mask = at::cat(
      {at::zeros_like(mask.slice(2, 0, 1)).expand({-1, -1, num_references, -1, -1}), mask}, 2);
  return at::cat({latents, mask}, 1);
}

}  // namespace sora
