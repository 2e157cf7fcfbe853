// Adds up the normalised details of frames (luma_details.h): what moves averages out, the pattern
// stays; or takes their differences, in which what stands still cancels; then does the same with
// what is left of them without the picture that the camera moves over.
#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <iterator>

#include "lib/media/video_reader.h"
#include "lib/provenance/luma_details.h"
#include "lib/provenance/watermark.h"
#include "lib/provenance/watermark_code.h"
#include "lib/provenance/watermark_frames.h"
#include "lib/provenance/watermark_motion.h"
#include "lib/provenance/watermark_search.h"

namespace sora {
namespace {

constexpr float kDetailUnits = 50;  // a value of 1 as an int8
constexpr int64_t kFramesLookedAt = 48;
constexpr int64_t kFramesRead = 16;  // at a time
constexpr double kPlainScales[] = {1,       2,    0.5,    1.5,
                                   2.0 / 3, 0.75, 4.0 / 3};  // tried before the search over scales

// Reads codes at one fit after another. Each try is one more chance to be wrong, so the bound on
// chance is that of one times the most that there may be.
class Reader {
 public:
  // `num_searches` at most, each read at every plain scale and at the best fits of all.
  explicit Reader(size_t num_searches)
      : log2_tries_(std::log2(num_searches * (std::size(kPlainScales) + WatermarkSearch::kFits))) {}

  bool read(const WatermarkSearch& search, const PilotFit& fit) {
    const auto decoded = decode_watermark(search.values(fit));
    if (!decoded) return false;
    const double log2_chance = decoded->log2_chance + log2_tries_;
    if (log2_chance > WatermarkDetector::kMaxLog2Chance) return false;
    reading = WatermarkReading{decoded->payload, log2_chance, fit.scale.x, fit.scale.y};
    return true;
  }

  bool read_at_plain_scales(const std::vector<WatermarkSearch>& searches) {
    for (const double scale : kPlainScales) {
      for (const WatermarkSearch& search : searches) {
        if (read(search, search.fit({scale, scale}))) return true;
      }
    }
    return false;
  }

  bool read_anywhere(const std::vector<WatermarkSearch>& searches) {
    for (const WatermarkSearch& search : searches) {
      for (const PilotFit& fit : search.search()) {
        if (read(search, fit)) return true;
      }
    }
    return false;
  }

  std::optional<WatermarkReading> reading;

 private:
  double log2_tries_;
};

}  // namespace

void WatermarkDetector::add(const at::Tensor& frames_FHWC) {
  const at::Tensor frames = frames_FHWC.contiguous();
  const int64_t height = frames.size(1), width = frames.size(2);
  Plane luma(height, width);
  NormalisedDetails details{Plane(0, 0), Plane(0, 0), Plane(0, 0)};
  for (int64_t i = 0; i < frames.size(0); ++i) {
    luma_of(frames.const_data_ptr<uint8_t>() + i * height * width * 3, luma);
    normalise_details(luma, details);
    at::Tensor& kept = details_HW_.emplace_back(at::empty({height, width}, at::kChar));
    auto* out = kept.mutable_data_ptr<int8_t>();
    for (int64_t k = 0; k < height * width; ++k)
      out[k] = static_cast<int8_t>(std::lrint(details.detail.values[k] * kDetailUnits));
  }
}

std::optional<WatermarkReading> WatermarkDetector::read() const {
  return read(/*also_search=*/true);
}

std::optional<WatermarkReading> WatermarkDetector::read_at_plain_scales() const {
  return read(/*also_search=*/false);
}

std::optional<WatermarkReading> WatermarkDetector::read(bool also_search) const {
  if (details_HW_.empty()) return std::nullopt;
  const WatermarkPattern pattern(watermark_key());
  const auto searches_in = [&](const std::vector<at::Tensor>& frames_HW) {
    std::vector<WatermarkSearch> searches;
    for (std::vector<float>& weights : frame_weights(frames_HW))
      searches.emplace_back(pattern, frames_HW, std::move(weights));
    return searches;
  };
  const std::vector<WatermarkSearch> searches = searches_in(details_HW_);
  Reader reader(2 * searches.size());
  if (reader.read_at_plain_scales(searches)) return reader.reading;
  const std::vector<at::Tensor> rest_HW = without_moving_picture(details_HW_);
  if (!rest_HW.empty()) {
    const std::vector<WatermarkSearch> of_rest = searches_in(rest_HW);
    if (reader.read_at_plain_scales(of_rest)) return reader.reading;
    if (also_search && reader.read_anywhere(of_rest)) return reader.reading;
  }
  if (also_search) reader.read_anywhere(searches);
  return reader.reading;
}

std::optional<WatermarkReading> read_watermark(const std::string& path, const Observer& observer) {
  const FileInfo info = probe(path);
  VideoReader reader(path, {.max_frames = INT64_MAX});
  // The reader repeats frames that last long.
  const int64_t num_frames =
      std::max<int64_t>(info.num_frames, std::llround(info.duration_s * reader.fps().value()));
  // Odd, so that it does not keep step with the sign of a still picture's pattern.
  const int64_t step = std::max<int64_t>(1, num_frames / kFramesLookedAt) | 1;
  WatermarkDetector detector;
  // A file that goes on for longer than it says is not followed to its end.
  int64_t looked_at = 0;
  for (int64_t next = 0; looked_at < 2 * kFramesLookedAt;) {
    check_stop(observer);
    const at::Tensor frames = reader.read(kFramesRead);
    if (frames.size(0) == 0) break;
    for (int64_t i = 0; i < frames.size(0); ++i, ++next) {
      if (next % step != 0) continue;
      detector.add(frames.narrow(0, i, 1));
      ++looked_at;
    }
  }
  return detector.read();
}

}  // namespace sora
