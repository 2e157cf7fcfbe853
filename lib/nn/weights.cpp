#include "lib/nn/weights.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "lib/core/error.h"
#include "lib/tensor_io/dtype.h"

namespace sora {
namespace {

// The mapped tensor itself where nothing has to change.
at::Tensor converted(const at::Tensor& tensor, at::ScalarType dtype, at::Device device) {
  return tensor.to(device, dtype, /*non_blocking=*/false, /*copy=*/false);
}

}  // namespace

Weights::Weights(std::shared_ptr<const Checkpoint> checkpoint, at::ScalarType dtype,
                 at::Device device)
    : checkpoint_(std::move(checkpoint)),
      used_(std::make_shared<std::set<std::string>>()),
      dtype_(dtype),
      device_(device) {}

Weights Weights::operator[](const std::string& name) const {
  Weights scope = *this;
  scope.prefix_ += name + ".";
  return scope;
}

Weights Weights::operator[](int64_t index) const { return (*this)[std::to_string(index)]; }

at::Tensor Weights::get(const std::string& name, at::IntArrayRef shape) const {
  return get_as(name, shape, dtype_);
}

at::Tensor Weights::get_f32(const std::string& name, at::IntArrayRef shape) const {
  return get_as(name, shape, at::kFloat);
}

at::Tensor Weights::get_as(const std::string& name, at::IntArrayRef shape,
                           at::ScalarType dtype) const {
  return converted(get_stored(name, shape), dtype, device_);
}

at::Tensor Weights::get_stored(const std::string& name, at::IntArrayRef shape) const {
  const std::string key = prefix_ + name;
  const TensorInfo& info = checkpoint_->info(key);
  if (at::IntArrayRef(info.shape) != shape) {
    fail(ErrorKind::Input,
         "{}: {} has shape [{}], expected [{}]; does the config belong to these weights?",
         checkpoint_->description(), key, fmt::join(info.shape, ", "), fmt::join(shape, ", "));
  }
  if (!at::isFloatingType(info.dtype)) {
    fail(ErrorKind::Input,
         "{}: {} has dtype {}, expected a floating-point one; quantised weights are not supported",
         checkpoint_->description(), key, dtype_name(info.dtype));
  }
  used_->insert(key);
  return checkpoint_->get(key);
}

bool Weights::has(const std::string& name) const { return checkpoint_->has(prefix_ + name); }

void Weights::check_all_used() const {
  constexpr size_t kMaxNamed = 3;
  std::vector<std::string> unused;
  for (std::string& name : checkpoint_->names()) {
    if (name.starts_with(prefix_) && !used_->contains(name)) unused.push_back(std::move(name));
  }
  if (unused.empty()) return;
  const size_t count = unused.size();
  unused.resize(std::min(count, kMaxNamed));
  fail(ErrorKind::Input,
       "{}: {} tensors have no place in this model: {}{}; does the config belong to these weights?",
       checkpoint_->description(), count, fmt::join(unused, ", "),
       count > kMaxNamed ? ", ..." : "");
}

}  // namespace sora
