// Scoped access to a checkpoint while a model is being built: every tensor is checked for shape,
// taken once, and at the end the ones nobody took are an error, so that no weight is silently
// ignored.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <initializer_list>
#include <memory>
#include <set>
#include <string>

#include "lib/nn/arithmetic.h"
#include "lib/nn/host_copies.h"
#include "lib/tensor_io/checkpoint.h"
#include "lib/tensor_io/low_rank.h"

namespace sora {

// The weight [N, K] of a layer, as the layer keeps it.
struct WeightMatrix {
  at::Tensor plain_NK;                         // in weights.dtype(), mapped where possible
  std::shared_ptr<const PackedMatrix> packed;  // instead of plain_NK: expanded when it is used
  std::vector<LowRank> low_rank;               // added to it, in weights.dtype()
};

class Weights {
 public:
  // `dtype` is what get() returns; a tensor stored in it is used in place on the CPU (no copy of
  // the mapped file). `changes` (of LoRA files) are part of what is handed out.
  Weights(std::shared_ptr<const Checkpoint> checkpoint, at::ScalarType dtype,
          at::Device device = at::kCPU, std::shared_ptr<const TensorChanges> changes = nullptr);

  // The same checkpoint with "name." in front of every name: weights["blocks"][0]["attn1"].
  Weights operator[](const std::string& name) const;
  Weights operator[](int64_t index) const;

  // Throws Error(Input) naming the full key, the shape found and the shape wanted.
  at::Tensor get(const std::string& name, at::IntArrayRef shape) const;
  at::Tensor get_f32(const std::string& name,
                     at::IntArrayRef shape) const;  // kept in f32 whatever the dtype
  // The weight of a layer, which stays packed if it is stored so and the device can expand it.
  WeightMatrix get_matrix(const std::string& name, int64_t rows, int64_t columns) const;
  // The rows `ids` of a table of which the rest is not read, in dtype(): [ids, columns].
  at::Tensor get_rows(const std::string& name, at::IntArrayRef shape,
                      const std::vector<int64_t>& ids) const;
  bool has(const std::string& name) const;
  // The same without values, on the meta device: to check names and shapes at no cost.
  Weights without_values() const;
  // Lets the mapped pages under this prefix go until they are read again.
  void forget_pages() const { checkpoint_->forget_pages(prefix_); }
  // The same for layers that compute so; its dtype is that of this.
  Weights computed_in(const Arithmetic& arithmetic) const;
  at::ScalarType dtype() const { return dtype_; }
  const Arithmetic& arithmetic() const { return arithmetic_; }
  at::Device device() const { return device_; }

  // The same with a copy of each tensor kept on the host in the type wanted, as long as it or a
  // scope of it lives: for layers that are made on a device other than the CPU again and again.
  Weights with_host_copies() const;

  // Throws Error(Input) naming up to three tensors under this prefix that no get() asked for.
  void check_all_used() const;

 private:
  at::Tensor get_as(const std::string& name, at::IntArrayRef shape, at::ScalarType dtype) const;
  at::Tensor changed(const std::string& key, at::IntArrayRef shape, at::ScalarType dtype) const;
  // Checks the tensor and counts it as used; returns its full name.
  std::string take(const std::string& name, at::IntArrayRef shape) const;
  // What `read` gives, in `dtype` on the device; the mapped tensor itself where nothing has to
  // change. With host copies `read` is called once for each key.
  at::Tensor placed(const std::string& key, at::ScalarType dtype,
                    const std::function<at::Tensor()>& read) const;
  const TensorChange* change_of(const std::string& key) const;

  std::shared_ptr<const Checkpoint> checkpoint_;
  std::shared_ptr<const TensorChanges> changes_;
  std::shared_ptr<std::set<std::string>> used_;
  std::shared_ptr<HostCopies> host_copies_;  // by key; null: none are kept
  std::string prefix_;
  at::ScalarType dtype_;
  Arithmetic arithmetic_;
  at::Device device_;
};

}  // namespace sora
