#include "lib/provenance/image_policy.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <sstream>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/media/video_reader.h"

namespace sora {
namespace {

constexpr char kRule[] = "image-hash-list";

}  // namespace

std::vector<PdqHash> read_hash_list(const std::filesystem::path& path) {
  std::istringstream lines(read_file(path));
  std::vector<PdqHash> hashes;
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const std::string hex = line.substr(0, line.find_first_of(", \t\r#"));
    if (hex.empty()) continue;
    try {
      hashes.push_back(PdqHash::from_hex(hex));
    } catch (const Error& error) {
      fail(ErrorKind::Input, "{}: line {}: {}", path.string(), number, error.what());
    }
  }
  return hashes;
}

ImagePolicy::ImagePolicy(Policy policy, std::string_view operation)
    : policy_(std::move(policy)), operation_(operation) {
  for (const std::filesystem::path& list : policy_.images().lists) {
    const std::vector<PdqHash> hashes = read_hash_list(list);
    hashes_.insert(hashes_.end(), hashes.begin(), hashes.end());
  }
}

void ImagePolicy::check_file(const std::string& path) {
  if (hashes_.empty()) return;
  VideoReader reader(path, {.fps = Rational(1)});
  for (int64_t second = 0;; ++second) {
    const at::Tensor frames_FHWC = reader.read(1);
    if (frames_FHWC.size(0) == 0) return;
    check(frames_FHWC[0], path, static_cast<double>(second));
  }
}

void ImagePolicy::begin_clip(Rational fps) {
  fps_ = fps;
  next_frame_ = 0;
}

void ImagePolicy::check_frames(const at::Tensor& frames_FHWC) {
  if (hashes_.empty()) return;
  const auto every = std::max<int64_t>(1, std::llround(fps_.value()));
  for (int64_t i = 0; i < frames_FHWC.size(0); ++i, ++next_frame_) {
    if (next_frame_ % every == 0)
      check(frames_FHWC[i], "the clip", static_cast<double>(next_frame_) / fps_.value());
  }
}

void ImagePolicy::check(const at::Tensor& frame_HWC, const std::string& what, double time_s) {
  const PdqResult picture = pdq_hash(frame_HWC);
  if (picture.quality < policy_.images().min_quality) return;
  const bool listed = std::any_of(hashes_.begin(), hashes_.end(), [&](const PdqHash& hash) {
    return hash.distance(picture.hash) <= policy_.images().max_distance;
  });
  if (!listed) return;
  write_audit_line(policy_, {kRule, PolicyAction::Refuse, "", what}, operation_,
                   picture.hash.hex());
  fail(ErrorKind::Refused,
       "refused by the rule '{}' of {}: {} at {:.1f} s looks like a picture of a hash list; "
       "nothing was made",
       kRule, policy_.name(), what, time_s);
}

}  // namespace sora
