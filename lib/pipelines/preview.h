// The clip forming, looked at while it is sampled: shown, and as a small file that is renewed.
#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <memory>

#include "lib/core/observer.h"
#include "lib/core/pictures.h"
#include "lib/pipelines/denoise.h"
#include "lib/pipelines/plan.h"
#include "lib/pipelines/previewer.h"

namespace sora {

// Throws Error(Usage) for a file that cannot be a preview, or is there and may not be replaced,
// Error(NotFound | Io) for a folder that is not there or cannot be written.
void check(const PreviewSpec& spec);

class Preview {
 public:
  Preview(PreviewSpec spec, std::unique_ptr<Previewer> previewer, const Plan& plan);

  // For the denoise loop; preview and observer must outlive it. Looks are taken as often as
  // kPreviewShare of the time allows, and after the last step of a clip's last window where a file
  // is to keep it. The observer is told once where the file cannot be written.
  WatchStep watch(Observer& observer);

 private:
  // Reference pictures first, where there are any.
  void look(const at::Tensor& all_1CFHW, Observer& observer);
  void keep(const at::Tensor& frames_FHWC, double fps, Observer& observer);

  PreviewSpec spec_;
  std::unique_ptr<Previewer> previewer_;
  const Plan& plan_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  size_t num_ended_ = 0;  // windows
  double spent_s_ = 0;
  double last_s_;  // what the last look took
};

// Of the time of sampling, at most; one look at a clip's end is taken besides.
inline constexpr double kPreviewShare = 0.02;

}  // namespace sora
