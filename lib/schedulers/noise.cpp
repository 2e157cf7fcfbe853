#include "lib/schedulers/noise.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

namespace sora {

NoiseSource::NoiseSource(uint64_t seed) : generator_(at::detail::createCPUGenerator(seed)) {}

at::Tensor NoiseSource::draw(at::IntArrayRef shape) {
  return at::randn(shape, generator_, at::kFloat);
}

}  // namespace sora
