#include "lib/nn/host_copies.h"

#include <ATen/ATen.h>
#include <ATen/core/CachingHostAllocator.h>
#include <c10/core/AllocatorConfig.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <exception>

namespace sora {
namespace {

// Note [Sizes of pinned memory]
// libtorch rounds pinned memory up to powers of two, which takes up to twice what a layer has, and
// keeps what is let go for the next tensor. Told to leave the sizes of large blocks as they are it
// must not keep those: some versions take any of about the size for large enough. What the user
// says in PYTORCH_ALLOC_CONF counts more, and would be forgotten if it were not said again.
void leave_sizes_as_they_are() {
  using c10::CachingAllocator::AcceleratorAllocatorConfig;
  for (const char* key : {"pinned_max_round_threshold_mb", "pinned_max_cached_size_mb"})
    if (!AcceleratorAllocatorConfig::getKeys().contains(key)) return;
  std::string settings = "pinned_max_round_threshold_mb:1,pinned_max_cached_size_mb:1";
  if (const std::string of_user = c10::CachingAllocator::getAllocatorSettings(); !of_user.empty())
    settings += "," + of_user;
  c10::CachingAllocator::setAllocatorSettings(settings);
}

}  // namespace

HostCopies::HostCopies(at::Device device) : device_(device) {
  static const bool told = (leave_sizes_as_they_are(), true);
  (void)told;
}

HostCopies::~HostCopies() {
  copies_.clear();
  try {
    c10::impl::VirtualGuardImpl(device_.type()).synchronizeDevice(device_.index());
    at::getHostAllocator(device_.type())->empty_cache();
  } catch (const std::exception&) {
    // The device has failed, and the next operator says so.
  }
}

void HostCopies::add(const std::string& name, const at::Tensor& of_cpu) {
  copies_.emplace(name, of_cpu.pin_memory());
}

}  // namespace sora
