// The pictures that an operator does not want, as lists of PDQ hashes (lib/media/pdq.h): sources
// are looked at before any work, and a second apart the frames that are about to be written.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "lib/core/rational.h"
#include "lib/media/pdq.h"
#include "lib/provenance/policy.h"

namespace sora {

// The hashes of a list: one a line, 64 hexadecimal digits, what follows a comma or space is a note,
// # begins a comment. Throws Error(NotFound), Error(Input) naming the line.
std::vector<PdqHash> read_hash_list(const std::filesystem::path& path);

class ImagePolicy {
 public:
  // Does nothing where the policy names no list. Throws as read_hash_list.
  ImagePolicy(Policy policy, std::string_view operation);

  // A picture or video that a request begins from. Throws Error(Refused) naming file and time; as
  // VideoReader.
  void check_file(const std::string& path);

  // The frames [F,H,W,3] uint8 of a result as they come. Throws Error(Refused).
  void begin_clip(Rational fps);
  void check_frames(const at::Tensor& frames_FHWC);

 private:
  void check(const at::Tensor& frame_HWC, const std::string& what, double time_s);

  Policy policy_;
  std::string operation_;
  std::vector<PdqHash> hashes_;
  Rational fps_;
  int64_t next_frame_ = 0;
};

}  // namespace sora
