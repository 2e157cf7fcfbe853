// The invisible watermark: 64 bits in the luma of every frame, which tie a clip to its manifest
// when the manifest is lost. It is spread spectrum: a faint keyed pattern (watermark_pattern.h),
// stronger where the picture is busy, found again by correlation after the picture was compressed,
// scaled and cut. docs/trust.md has what it withstands.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "lib/core/observer.h"
#include "lib/provenance/luma_details.h"
#include "lib/provenance/watermark_plan.h"

namespace sora {

// The first 64 bits of the SHA-256 of the manifest as it is written into the file.
uint64_t watermark_payload(const std::string& manifest_json);
std::string watermark_id(uint64_t payload);  // 16 hexadecimal digits

// What marking a frame works in: fresh memory for each would cost as much as the work.
struct WatermarkPlanes {
  Plane luma, smooth, mark;
  WatermarkPlanes(int64_t height, int64_t width)
      : luma(height, width), smooth(height, width), mark(height, width) {}
};

class WatermarkEmbedder {
 public:
  // Peak signal to noise ratio of marked to unmarked frames, dB; no frame comes out below it.
  static constexpr double kPsnr = 43.3;

  explicit WatermarkEmbedder(uint64_t payload);

  // uint8 [F,H,W,3] on the CPU, the clip's next ones; a new tensor of marked frames. The pattern is
  // planned anew every few frames, by the pictures up to there.
  at::Tensor operator()(const at::Tensor& frames_FHWC);

 private:
  WatermarkPlan plan_;
  WatermarkPlanes planes_{0, 0};
  int64_t num_marked_ = 0;
};

struct WatermarkReading {
  uint64_t payload = 0;
  double log2_chance = 0;  // of a bound on the chance that an unmarked clip reads as some payload
  double scale_x = 1;      // pixels of the picture as it was marked to one pixel now
  double scale_y = 1;
};

// Takes frames, then looks for the pattern. What it takes for a mark, an unmarked clip shows with a
// chance of at most 2^kMaxLog2Chance: the bound of watermark_code.h, times the number of codes it
// tried to read.
class WatermarkDetector {
 public:
  static constexpr double kMaxLog2Chance = -24;

  // uint8 [F,H,W,3] on the CPU, all of one size.
  void add(const at::Tensor& frames_FHWC);
  // Empty where there is no mark, or no frame was given.
  std::optional<WatermarkReading> read() const;
  // The quick half of read(): only for a picture of the size it was marked at, or one scaled by a
  // plain ratio.
  std::optional<WatermarkReading> read_at_plain_scales() const;

 private:
  std::optional<WatermarkReading> read(bool also_search) const;

  // Of each frame, int8: divided by how much of them is usual around.
  std::vector<at::Tensor> details_HW_;
};

// Looks at frames spread over the whole file. Throws as VideoReader.
std::optional<WatermarkReading> read_watermark(const std::string& path,
                                               const Observer& observer = {});

}  // namespace sora
