// Gaussian noise from a seed, drawn on the CPU whatever the device of the model, so that a seed
// means the same clip everywhere, and the same noise as torch.Generator("cpu").manual_seed(seed).
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <cstdint>

namespace sora {

// Successive draws from one seed: equal to successive torch.randn calls with one generator. Shape
// and split matter: one draw of 32 values is not two draws of 16.
class NoiseSource {
 public:
  explicit NoiseSource(uint64_t seed);
  at::Tensor draw(at::IntArrayRef shape);  // f32, contiguous, standard normal

 private:
  at::Generator generator_;
};

}  // namespace sora
