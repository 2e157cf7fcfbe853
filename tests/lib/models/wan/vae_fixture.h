// The cases of tests/data/vae: what diffusers' AutoencoderKLWan gave on the same weights.
#pragma once

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "lib/core/json_file.h"
#include "lib/models/wan/vae.h"
#include "lib/tensor_io/checkpoint.h"
#include "tests/relative_error.h"
#include "tests/stand_in_device.h"

namespace sora {

// The tiny networks of the fixtures are all waiting and no work on more than one thread.
struct OneThread {
  OneThread() { at::set_num_threads(1); }
  ~OneThread() { at::set_num_threads(before); }
  const int before = at::get_num_threads();
};

struct VaeForm {
  explicit VaeForm(const std::string& name)
      : folder(std::filesystem::path(SORA_TEST_DATA) / "vae" / name),
        config(WanVaeConfig::from_config(ConfigReader::open(folder / "model" / "config.json"))),
        checkpoint(std::make_shared<Checkpoint>(Checkpoint::open(folder / "model"))) {}

  WanVae load(at::ScalarType dtype, WanVaeParts parts = WanVaeParts::Both) const {
    return WanVae(config, Weights(checkpoint, dtype, test_device()), parts);
  }
  Checkpoint tensors(const std::string& name) const {
    return Checkpoint::open(folder / (name + ".safetensors"));
  }
  nlohmann::json description(const std::string& name) const {
    return read_json_file(folder / (name + ".json"));
  }

  // The fixtures hold latents as the network has them, WanVae takes and gives them normalised.
  at::Tensor mean() const {
    return at::tensor(config.latents_mean, at::kFloat).view({1, -1, 1, 1, 1});
  }
  at::Tensor std() const {
    return at::tensor(config.latents_std, at::kFloat).view({1, -1, 1, 1, 1});
  }
  at::Tensor normalised(const at::Tensor& latents) const { return (latents - mean()) / std(); }
  at::Tensor denormalised(const at::Tensor& latents) const { return latents * std() + mean(); }

  std::filesystem::path folder;
  WanVaeConfig config;
  std::shared_ptr<const Checkpoint> checkpoint;
};

inline at::Tensor decode_all(const WanVae& vae, const at::Tensor& latents) {
  std::vector<at::Tensor> chunks;
  vae.decode(latents, [&](const at::Tensor& frames) { chunks.push_back(frames.cpu()); });
  return at::cat(chunks, 2);
}

inline double greatest_difference(const at::Tensor& found, const at::Tensor& wanted) {
  TORCH_CHECK(found.sizes() == wanted.sizes(), found.sizes(), " is not ", wanted.sizes());
  return (found.to(at::kDouble) - wanted.to(at::kDouble)).abs().max().item<double>();
}

}  // namespace sora
