#include "lib/schedulers/noise.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

namespace sora {

NoiseSource::NoiseSource(uint64_t seed) : generator_(at::detail::createCPUGenerator(seed)) {}

at::Tensor NoiseSource::draw(at::IntArrayRef shape) {
  return at::randn(shape, generator_, at::kFloat);
}

at::Tensor draw_noise(at::IntArrayRef shape, uint64_t seed) {
  return NoiseSource(seed).draw(shape);
}

}  // namespace sora
