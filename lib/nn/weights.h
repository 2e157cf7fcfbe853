// Scoped access to a checkpoint while a model is being built: every tensor is checked for shape,
// taken once, and at the end the ones nobody took are an error, so that no weight is silently
// ignored.
#pragma once

#include <ATen/core/Tensor.h>

#include <initializer_list>
#include <memory>
#include <set>
#include <string>

#include "lib/tensor_io/checkpoint.h"

namespace sora {

class Weights {
 public:
  // `dtype` is what get() returns; a tensor stored in it is used in place (no copy of the mapped
  // file).
  Weights(std::shared_ptr<const Checkpoint> checkpoint, at::ScalarType dtype,
          at::Device device = at::kCPU);

  // The same checkpoint with "name." in front of every name: weights["blocks"][0]["attn1"].
  Weights operator[](const std::string& name) const;
  Weights operator[](int64_t index) const;

  // Throws Error(Input) naming the full key, the shape found and the shape wanted.
  at::Tensor get(const std::string& name, at::IntArrayRef shape) const;
  at::Tensor get_f32(const std::string& name,
                     at::IntArrayRef shape) const;  // kept in f32 whatever the dtype
  // As it is stored, mapped, whatever the dtype: for a table of which only some rows are read.
  at::Tensor get_stored(const std::string& name, at::IntArrayRef shape) const;
  bool has(const std::string& name) const;
  at::ScalarType dtype() const { return dtype_; }
  at::Device device() const { return device_; }

  // Throws Error(Input) naming up to three tensors under this prefix that no get() asked for.
  void check_all_used() const;

 private:
  at::Tensor get_as(const std::string& name, at::IntArrayRef shape, at::ScalarType dtype) const;

  std::shared_ptr<const Checkpoint> checkpoint_;
  std::shared_ptr<std::set<std::string>> used_;
  std::string prefix_;
  at::ScalarType dtype_;
  at::Device device_;
};

}  // namespace sora
