#include "lib/nn/weights.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <utility>

#include "lib/core/error.h"
#include "lib/tensor_io/dtype.h"

namespace sora {
namespace {

// A tensor reshaped since it was packed is one row.
bool has_shape(const PackedMatrix& packed, at::IntArrayRef shape) {
  return shape.size() == 2 && packed.num_rows() == shape[0] && packed.num_columns() == shape[1];
}

}  // namespace

Weights::Weights(std::shared_ptr<const Checkpoint> checkpoint, at::ScalarType dtype,
                 at::Device device, std::shared_ptr<const TensorChanges> changes)
    : checkpoint_(std::move(checkpoint)),
      changes_(std::move(changes)),
      used_(std::make_shared<std::set<std::string>>()),
      dtype_(dtype),
      arithmetic_{.dtype = dtype},
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

Weights Weights::computed_in(const Arithmetic& arithmetic) const {
  Weights scope = *this;
  scope.arithmetic_ = arithmetic;
  scope.arithmetic_.dtype = dtype_;
  return scope;
}

Weights Weights::without_values() const {
  Weights scope = *this;
  scope.device_ = at::kMeta;
  return scope;
}

std::string Weights::take(const std::string& name, at::IntArrayRef shape) const {
  std::string key = prefix_ + name;
  const TensorInfo& info = checkpoint_->info(key);
  if (at::IntArrayRef(info.shape) != shape) {
    fail(ErrorKind::Input,
         "{}: {} has shape [{}], expected [{}]; does the config belong to these weights?",
         checkpoint_->description(), key, fmt::join(info.shape, ", "), fmt::join(shape, ", "));
  }
  if (!at::isFloatingType(info.dtype) && !checkpoint_->packed(key)) {
    fail(ErrorKind::Input,
         "{}: {} has dtype {} and no scale, expected a floating-point one or a known quantisation",
         checkpoint_->description(), key, dtype_name(info.dtype));
  }
  used_->insert(key);
  return key;
}

Weights Weights::with_host_copies() const {
  Weights scope = *this;
  scope.host_copies_ = std::make_shared<HostCopies>(device_);
  return scope;
}

// On a device other than the CPU every tensor is a copy, so that the pages it was read from are let
// go one tensor after the other.
at::Tensor Weights::placed(const std::string& key, at::ScalarType dtype,
                           const std::function<at::Tensor()>& read) const {
  if (!host_copies_) {
    at::Tensor placed = read().to(device_, dtype, /*non_blocking=*/false, /*copy=*/false);
    if (!device_.is_cpu()) checkpoint_->forget_pages(key);
    return placed;
  }
  if (!host_copies_->has(key)) {
    host_copies_->add(key, read().to(dtype));
    checkpoint_->forget_pages(key);
  }
  return host_copies_->get(key).to(device_, dtype, /*non_blocking=*/true);
}

const TensorChange* Weights::change_of(const std::string& key) const {
  if (!changes_) return nullptr;
  const auto found = changes_->find(key);
  return found == changes_->end() ? nullptr : &found->second;
}

at::Tensor Weights::get_as(const std::string& name, at::IntArrayRef shape,
                           at::ScalarType dtype) const {
  const std::string key = take(name, shape);
  if (device_.is_meta()) return at::empty(shape, at::dtype(dtype).device(device_));
  return placed(key, dtype, [&] { return changed(key, shape, dtype); });
}

// A tensor of the checkpoint with what LoRA files change in it, on the CPU.
at::Tensor Weights::changed(const std::string& key, at::IntArrayRef shape,
                            at::ScalarType dtype) const {
  const TensorChange* change = change_of(key);
  const at::ScalarType made_in = change ? at::kFloat : dtype;
  const auto packed = checkpoint_->packed(key);
  at::Tensor value = packed ? packed->all(made_in).reshape(shape) : checkpoint_->get(key);
  if (!change) return value;
  value = value.to(made_in, /*non_blocking=*/false, /*copy=*/true);
  for (const Difference& difference : change->differences)
    value.add_(difference.values.to(at::kFloat), difference.scale);
  for (const LowRank& each : change->low_rank) {
    const at::Tensor product = at::matmul(each.up_NR.to(at::kFloat), each.down_RK.to(at::kFloat));
    value.add_(product.reshape(shape), each.scale);
  }
  return value;
}

// Low-rank changes are left to the layer, which adds them to its product: the weight stays mapped
// or packed, and a small change is not lost in the rounding of a bf16 weight.
WeightMatrix Weights::get_matrix(const std::string& name, int64_t rows, int64_t columns) const {
  const std::string key = prefix_ + name;
  const TensorChange* change = change_of(key);
  WeightMatrix matrix;
  if (change && !change->differences.empty()) {
    matrix.plain_NK = get(name, {rows, columns});
    return matrix;
  }
  take(name, {rows, columns});
  if (device_.is_meta()) {
    matrix.plain_NK = at::empty({rows, columns}, at::dtype(dtype_).device(device_));
    return matrix;
  }
  const auto packed = checkpoint_->packed(key);
  if (packed && !has_shape(*packed, {rows, columns})) {
    matrix.plain_NK = placed(key, dtype_, [&] {
      return packed->all(dtype_).reshape({rows, columns});
    });
  } else if (packed && device_.is_cpu()) {
    matrix.packed = packed;
  } else if (packed && packed->is_scaled()) {
    matrix.packed = std::make_shared<const PackedMatrix>(packed->to(device_));
    checkpoint_->forget_pages(key);
  } else {
    matrix.plain_NK =
        placed(key, dtype_, [&] { return packed ? packed->all(dtype_) : checkpoint_->get(key); });
  }
  if (!change) return matrix;
  for (const LowRank& each : change->low_rank) {
    matrix.low_rank.push_back({each.down_RK.to(device_, dtype_).contiguous(),
                               each.up_NR.to(device_, dtype_).contiguous(), each.scale});
  }
  return matrix;
}

at::Tensor Weights::get_rows(const std::string& name, at::IntArrayRef shape,
                             const std::vector<int64_t>& ids) const {
  const std::string key = take(name, shape);
  if (device_.is_meta())
    return at::empty({static_cast<int64_t>(ids.size()), shape[1]},
                     at::dtype(dtype_).device(device_));
  const auto packed = checkpoint_->packed(key);
  if (!packed || !has_shape(*packed, shape)) {
    const at::Tensor index = at::tensor(ids, at::kLong);
    return placed(key, dtype_, [&] {
      return (packed ? packed->all(dtype_).reshape(shape) : checkpoint_->get(key))
          .index_select(0, index);
    });
  }
  std::vector<at::Tensor> rows;
  for (const int64_t id : ids) rows.push_back(packed->rows(id, id + 1, dtype_));
  return (rows.empty() ? at::empty({0, shape[1]}, dtype_) : at::cat(rows)).to(device_);
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
