// The encoder of UMT5 ("UniMax", arXiv 2304.09151; the architecture is T5 1.1's with a relative
// position bias of its own in every layer), as UMT5EncoderModel of transformers computes it.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <memory>
#include <vector>

#include "lib/core/observer.h"
#include "lib/nn/weights.h"
#include "lib/text/umt5_config.h"

namespace sora {

class Umt5Encoder {
 public:
  // The component directory (config.json and weights), or a single file, whose config is read off
  // its shapes. `dtype` is at::kFloat or at::kBFloat16.
  // Throws Error(NotFound), or Error(Input) naming the field or tensor that is wrong. Reads no
  // weight yet.
  static Umt5Encoder open(const std::filesystem::path& path, at::ScalarType dtype,
                          at::Device device = at::kCPU);

  Umt5Encoder(const Umt5Config& config, std::shared_ptr<const Checkpoint> checkpoint,
              at::ScalarType dtype, at::Device device);

  const Umt5Config& config() const { return config_; }

  // The last hidden states, one [T, D] for each list of T ids, without padding: what the reference
  // computes for a padded list at the places of its real tokens. Each layer's weights are converted
  // and moved when it is reached, used for all lists, and let go. `observer` advances in
  // Phase::EncodeText once a layer. Throws Error(Input) for an id beyond the vocabulary,
  // Error(Cancelled).
  std::vector<at::Tensor> encode(const std::vector<std::vector<int64_t>>& ids,
                                 Observer& observer) const;

 private:
  at::Tensor embed(const std::vector<int64_t>& ids) const;

  Umt5Config config_;
  Weights weights_;
};

}  // namespace sora
