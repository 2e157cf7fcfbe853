// Copies of tensors in pinned memory of the host, which a GPU copies from by itself, by name.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

namespace sora {

class HostCopies {
 public:
  // For a device other than the CPU.
  explicit HostCopies(at::Device device);
  // The memory is the system's again, once the device has copied what it was told to.
  ~HostCopies();
  HostCopies(const HostCopies&) = delete;
  HostCopies& operator=(const HostCopies&) = delete;

  bool has(const std::string& name) const { return copies_.contains(name); }
  void add(const std::string& name, const at::Tensor& of_cpu);
  const at::Tensor& get(const std::string& name) const { return copies_.at(name); }

 private:
  at::Device device_;
  std::map<std::string, at::Tensor> copies_;
};

}  // namespace sora
