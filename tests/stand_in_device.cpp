#include "tests/stand_in_device.h"

#include <ATen/ATen.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/view_native.h>
#include <torch/library.h>

#include <cstdlib>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kernels/cuda/gpu.h"
#include "tests/stand_in_guard.h"
#include "tests/stand_in_memory.h"
#include "tests/stand_in_recording.h"

namespace sora {
namespace {

using namespace stand_in;

// Operators that go element by element take a CPU number without dimensions on CUDA; others do not.
bool takes_cpu_numbers(std::string_view name) {
  static const std::set<std::string_view> kElementwise = {
      "add",   "sub",         "rsub",    "mul",         "div",        "floor_divide", "remainder",
      "fmod",  "pow",         "maximum", "minimum",     "eq",         "ne",           "lt",
      "le",    "gt",          "ge",      "logical_and", "logical_or", "bitwise_and",  "bitwise_or",
      "where", "masked_fill", "fill",    "lerp",        "addcmul",    "addcdiv",      "copy"};
  name.remove_prefix(name.find("::") + 2);
  while (name.ends_with('_')) name.remove_suffix(1);
  return kElementwise.contains(name);
}

// --- the boxed operator: checks, computes on the CPU, hands back ---

class Call {
 public:
  Call(const c10::OperatorHandle& op, torch::jit::Stack& stack)
      : op_(op), schema_(op.schema()), stack_(stack) {}

  void run() {
    if (recording() != nullptr) check_can_be_recorded();
    const size_t first = stack_.size() - schema_.arguments().size();
    given_.assign(stack_.begin() + static_cast<int64_t>(first), stack_.end());
    for (size_t i = 0; i < given_.size(); ++i) stack_[first + i] = converted(given_[i], checked);
    op_.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), &stack_);
    const size_t results = stack_.size() - schema_.returns().size();
    for (size_t i = 0; i < schema_.returns().size(); ++i) {
      stack_[results + i] = from_cpu(stack_[results + i], schema_.returns()[i]);
    }
    if (recording() != nullptr) record();
  }

 private:
  // `see` makes of a tensor of the device what the CPU's operator is given.
  template <typename See>
  c10::IValue converted(const c10::IValue& value, const See& see) const {
    if (value.isTensor()) return converted(value.toTensor(), see);
    if (value.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& tensor : value.toTensorVector())
        list.push_back(converted(tensor, see));
      return list;
    }
    if (value.isOptionalTensorList()) {
      c10::List<std::optional<at::Tensor>> list;
      for (const std::optional<at::Tensor>& tensor : value.toOptionalTensorVector()) {
        list.push_back(tensor ? std::optional(converted(*tensor, see)) : std::nullopt);
      }
      return list;
    }
    if (value.isDevice()) return c10::IValue(c10::Device(at::kCPU));
    return value;
  }

  template <typename See>
  at::Tensor converted(const at::Tensor& tensor, const See& see) const {
    if (!tensor.defined()) return tensor;
    if (is_stand_in(tensor)) return see(tensor);
    TORCH_CHECK(tensor.is_cpu() && tensor.dim() == 0 && takes_cpu_numbers(schema_.name()),
                schema_.name(), ": a tensor of ", tensor.device(), " with ", tensor.dim(),
                " dimensions among tensors of ", stand_in_device());
    if (!tensor.unsafeGetTensorImpl()->is_wrapped_number())
      refuse_while_recording(schema_.name() +
                             ": a number of the CPU's, which would stay as it is,");
    return tensor;
  }

  static at::Tensor checked(const at::Tensor& tensor) {
    check_is_made(tensor);
    return as_cpu(tensor);
  }

  c10::IValue from_cpu(const c10::IValue& value, const c10::Argument& described) {
    if (value.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& tensor : value.toTensorVector())
        list.push_back(from_cpu(tensor, described));
      return list;
    }
    if (value.isTensor()) return from_cpu(value.toTensor(), described);
    finish_copies(streams().known_here());  // a number for the CPU: the device is waited for
    return value;
  }

  // What was written to is what was given; a view of what was given is a view of it here too; the
  // rest is new.
  at::Tensor from_cpu(const at::Tensor& made, const c10::Argument& described) {
    if (!made.defined()) return made;
    if (const c10::AliasInfo* alias = described.alias_info()) {
      const at::Tensor& source = argument_aliased_by(*alias);
      if (!alias->isWrite())
        return source.as_strided(made.sizes(), made.strides(), made.storage_offset());
      if (made.sizes() != source.sizes()) become(source, made);
      mark_as_written(source);
      written_.push_back(source);
      return source;
    }
    new_.push_back(as_stand_in(made));
    return new_.back();
  }

  const at::Tensor& argument_aliased_by(const c10::AliasInfo& alias) const {
    for (size_t i = 0; i < given_.size(); ++i) {
      const c10::AliasInfo* own = schema_.arguments()[i].alias_info();
      if (own != nullptr && own->beforeSets() == alias.beforeSets() && given_[i].isTensor())
        return given_[i].toTensor();
    }
    TORCH_CHECK(false, schema_.name(), ": no argument is what the result stands for");
  }

  void check_can_be_recorded() const {
    check_recording_stream(schema_.name());
    if (op_.hasTag(at::Tag::dynamic_output_shape))
      refuse_while_recording(schema_.name() + ": a size that depends on the numbers");
    for (const c10::Argument& result : schema_.returns()) {
      const bool is_tensors = *result.type() == *c10::TensorType::get() ||
                              *result.type() == *c10::ListType::ofTensors();
      if (!is_tensors) refuse_while_recording(schema_.name() + ": the device is waited for");
    }
  }

  // Views alone are nothing that the device does.
  void record() const {
    if (new_.empty() && written_.empty()) return;
    std::vector<at::Tensor> read;
    std::vector<c10::IValue> arguments;
    for (const c10::IValue& value : given_) {
      arguments.push_back(converted(value, [&](const at::Tensor& tensor) {
        read.push_back(tensor);
        return as_borrowed_cpu(tensor);
      }));
    }
    std::vector<at::Tensor> results;
    for (const at::Tensor& tensor : new_) results.push_back(as_borrowed_cpu(tensor));
    std::vector<at::Tensor> written = written_;
    written.insert(written.end(), new_.begin(), new_.end());
    recording()->add(schema_.name(), read, written, [op = op_, arguments, results] {
      torch::jit::Stack stack = arguments;
      op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), &stack);
      copy_new(op.schema(), stack, results);
    });
  }

  // Into the memory that the first run made for them.
  static void copy_new(const c10::FunctionSchema& schema, const torch::jit::Stack& made,
                       const std::vector<at::Tensor>& results) {
    size_t next = 0;
    for (size_t i = 0; i < made.size(); ++i) {
      if (schema.returns()[i].alias_info() != nullptr) continue;
      const std::vector<at::Tensor> tensors = made[i].isTensorList()
                                                  ? made[i].toTensorVector()
                                                  : std::vector<at::Tensor>{made[i].toTensor()};
      for (const at::Tensor& tensor : tensors) {
        if (tensor.defined()) results[next++].copy_(tensor);
      }
    }
  }

  const c10::OperatorHandle& op_;
  const c10::FunctionSchema& schema_;
  torch::jit::Stack& stack_;
  std::vector<c10::IValue> given_;
  std::vector<at::Tensor> new_, written_;
};

void compute_on_cpu(const c10::OperatorHandle& op, torch::jit::Stack* stack) {
  Call(op, *stack).run();
}

// --- what has no tensor to go by, and what goes between devices ---

at::Tensor empty(c10::IntArrayRef size, std::optional<c10::ScalarType> dtype,
                 std::optional<c10::Layout>, std::optional<c10::Device>, std::optional<bool>,
                 std::optional<c10::MemoryFormat> format) {
  return as_stand_in(at::empty(size, at::dtype(dtype.value_or(at::kFloat)), format));
}

at::Tensor empty_strided(c10::IntArrayRef size, c10::IntArrayRef stride,
                         std::optional<c10::ScalarType> dtype, std::optional<c10::Layout>,
                         std::optional<c10::Device>, std::optional<bool>) {
  return as_stand_in(at::empty_strided(size, stride, at::dtype(dtype.value_or(at::kFloat))));
}

void copy_on_device(const at::Tensor& from, const at::Tensor& to) {
  check_recording_stream("a copy");
  check_is_made(from);
  check_is_made(to);
  as_cpu(to).copy_(as_cpu(from));
  mark_as_written(to);
  if (Recording* underway = recording()) {
    underway->add("copy", {from, to}, {to},
                  [from = as_borrowed_cpu(from), to = as_borrowed_cpu(to)] { to.copy_(from); });
  }
}

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool non_blocking) {
  if (is_stand_in(from) && is_stand_in(to)) {
    copy_on_device(from, to);
    return to;
  }
  refuse_while_recording("a copy between the device and the CPU");
  if (is_stand_in(to)) {
    check_is_made(to);
    as_cpu(to).copy_(from);
    mark_as_written(to);
    return to;
  }
  check_is_made(from);
  if (non_blocking && is_pinned(to)) {
    copy_later(from, to);
  } else {
    finish_copies(streams().known_here());
    to.copy_(as_cpu(from));
  }
  return to;
}

at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight,
                    const std::optional<at::Tensor>& bias, c10::IntArrayRef stride,
                    c10::IntArrayRef padding, c10::IntArrayRef dilation, bool transposed,
                    c10::IntArrayRef output_padding, int64_t groups) {
  const bool has_bias = bias && bias->defined();
  TORCH_CHECK(is_stand_in(x) && is_stand_in(weight) && (!has_bias || is_stand_in(*bias)),
              "a convolution over two devices");
  refuse_while_recording("a convolution");  // no graph has one
  for (const at::Tensor& tensor : {x, weight}) check_is_made(tensor);
  if (has_bias) check_is_made(*bias);
  return as_stand_in(at::convolution(as_cpu(x), as_cpu(weight),
                                     has_bias ? std::optional(as_cpu(*bias)) : std::nullopt, stride,
                                     padding, dilation, transposed, output_padding, groups));
}

TORCH_LIBRARY_IMPL(_, PrivateUse1, m) {
  m.fallback(torch::CppFunction::makeFromBoxedFunction<&compute_on_cpu>());
}

TORCH_LIBRARY_IMPL(aten, PrivateUse1, m) {
  m.impl("empty.memory_format", TORCH_FN(empty));
  m.impl("empty_strided", TORCH_FN(empty_strided));
  m.impl("as_strided", TORCH_FN(at::native::as_strided_tensorimpl));
  m.impl("view", TORCH_FN(at::native::view));
  m.impl("_copy_from", TORCH_FN(copy_from));
  m.impl("convolution_overrideable", TORCH_FN(convolve));
}

}  // namespace

at::Device stand_in_device() {
  static const bool registered = [] {
    c10::SetAllocator(kType, allocator());
    register_guard();
    register_graphs();
    return true;
  }();
  (void)registered;
  return {kType, 0};
}

std::vector<at::Device> gpu_devices() {
  const bool has_gpu = kernels::cuda::gpu_is_available();  // before anything else asks for CUDA
  std::vector<at::Device> devices = {stand_in_device()};
  if (has_gpu) devices.emplace_back(at::kCUDA, 0);
  return devices;
}

at::Device test_device() {
  const char* name = std::getenv("SORA_TEST_DEVICE");
  return name != nullptr && std::string_view(name) == "stand-in" ? stand_in_device()
                                                                 : at::Device(at::kCPU);
}

int64_t stand_in_bytes() { return alive_bytes(); }
int64_t most_stand_in_bytes() { return most_alive_bytes(); }
void reset_most_stand_in_bytes() { reset_most_alive_bytes(); }
int64_t stand_in_pinned_bytes() { return pinned_bytes(); }
int64_t stand_in_replays() { return num_replays(); }

}  // namespace sora
