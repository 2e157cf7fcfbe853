// The clip forming, looked at while it is sampled: shown, and as a small file that is renewed.
#pragma once

#include <ATen/core/Tensor.h>

#include <chrono>
#include <memory>

#include "lib/core/pictures.h"
#include "lib/pipelines/denoise.h"
#include "lib/pipelines/plan.h"
#include "lib/pipelines/previewer.h"

namespace sora {

// Throws Error(Usage) for a file that cannot be a preview, or is there and may not be replaced.
void check(const PreviewSpec& spec);

class Preview {
 public:
  Preview(PreviewSpec spec, std::unique_ptr<Previewer> previewer, const Plan& plan);

  // For the denoise loop; the preview must outlive it. Looks are taken as often as kPreviewShare of
  // the time allows, and after the last step of a clip's last window where a file is to keep it.
  // Throws Error(Io) where the file cannot be written.
  WatchStep watch();

 private:
  void look(const at::Tensor& all_1CFHW);  // reference pictures first, where there are any

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
