#include "tests/stand_in_device.h"

#include <ATen/ATen.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <ATen/native/CPUFallback.h>
#include <ATen/ops/as_strided_native.h>
#include <ATen/ops/view_native.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>
#include <set>
#include <string>
#include <string_view>
#include <utility>

namespace sora {
namespace {

constexpr auto kStandIn = c10::DeviceType::PrivateUse1;
// Set in every address of the device: no address of a program has this bit on x86-64 or Arm, so
// that reading one is a fault.
constexpr uintptr_t kMark = uintptr_t{1} << 55;

std::atomic<int64_t> alive_bytes{0}, most_bytes{0};

void* marked(void* host) {
  return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(host) | kMark);
}
void* host_of(const void* device) {
  return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(device) & ~kMark);
}

// --- two streams, one after the other in truth; Note [Stand-in streams] ---

struct Clock {
  int64_t of[2] = {0, 0};  // how far along each stream this one knows the work to be done
};

struct Streams {
  Clock known[2];
  int current = 0;

  // The next place on the current stream.
  std::pair<int, int64_t> step() { return {current, ++known[current].of[current]}; }
  bool knows(std::pair<int, int64_t> made) const {
    return known[current].of[made.first] >= made.second;
  }
};

thread_local Streams streams;

c10::Stream stream_of(int index) {
  return c10::Stream(c10::Stream::UNSAFE, c10::Device(kStandIn, 0),
                     static_cast<c10::StreamId>(index));
}

void count(int64_t bytes) {
  const int64_t alive = alive_bytes += bytes;
  int64_t most = most_bytes;
  while (alive > most && !most_bytes.compare_exchange_weak(most, alive)) {
  }
}

struct Owner {
  at::Tensor tensor;
  int64_t bytes;
  std::pair<int, int64_t> written;  // on which stream, and at which place of it
};

// The memory of a CPU tensor under an address of the device, alive as long as that is.
c10::DataPtr adopt(at::Tensor made) {
  const auto bytes = static_cast<int64_t>(made.storage().nbytes());
  void* const address = marked(made.storage().mutable_data());
  count(bytes);
  return {address, new Owner{std::move(made), bytes, streams.step()},
          [](void* owner) {
            count(-static_cast<Owner*>(owner)->bytes);
            delete static_cast<Owner*>(owner);
          },
          c10::Device(kStandIn, 0)};
}

class StandInAllocator final : public c10::Allocator {
 public:
  c10::DataPtr allocate(size_t bytes) override {
    return adopt(at::empty({static_cast<int64_t>(bytes)}, at::kByte));
  }
  void copy_data(void* dest, const void* src, std::size_t bytes) const override {
    std::memcpy(host_of(dest), host_of(src), bytes);
  }
};

StandInAllocator& allocator() {
  static StandInAllocator one;
  return one;
}

// --- tensors of the device as the CPU sees them, and back ---

at::Tensor with_storage(c10::Storage storage, c10::DispatchKey key, const at::Tensor& like) {
  at::Tensor tensor = at::detail::make_tensor<c10::TensorImpl>(
      std::move(storage), c10::DispatchKeySet(key), like.dtype());
  tensor.unsafeGetTensorImpl()->set_sizes_and_strides(like.sizes(), like.strides(),
                                                      like.storage_offset());
  return tensor;
}

// The same memory, which stays alive with it.
at::Tensor as_cpu(const at::Tensor& tensor) {
  const c10::Storage& storage = tensor.storage();
  c10::DataPtr data(
      host_of(storage.data()), new c10::Storage(storage),
      [](void* owner) { delete static_cast<c10::Storage*>(owner); }, at::kCPU);
  c10::Storage seen(c10::Storage::use_byte_size_t(), storage.nbytes(), std::move(data),
                    c10::GetAllocator(at::kCPU),
                    /*resizable=*/true);
  return with_storage(std::move(seen), c10::DispatchKey::CPU, tensor);
}

c10::Storage adopted_storage(const at::Tensor& made) {
  return {c10::Storage::use_byte_size_t(), made.storage().nbytes(), adopt(made), &allocator(),
          /*resizable=*/false};
}

at::Tensor as_stand_in(const at::Tensor& made) {
  return with_storage(adopted_storage(made), c10::DispatchKey::PrivateUse1, made);
}

// Makes `tensor` what an operator made of its view on the CPU by resizing it.
void become(const at::Tensor& tensor, const at::Tensor& made) {
  c10::TensorImpl* impl = tensor.unsafeGetTensorImpl();
  impl->set_storage_keep_dtype(adopted_storage(made));
  impl->set_sizes_and_strides(made.sizes(), made.strides(), made.storage_offset());
}

// Throws where a tensor was last written on a stream whose work up to there the current one has not
// waited for.
void check_is_made(const at::Tensor& tensor) {
  const auto* owner = static_cast<const Owner*>(tensor.storage().data_ptr().get_context());
  TORCH_CHECK(streams.knows(owner->written),
              "a tensor is used before the stream that makes it has been waited for");
}

void mark_as_written(const at::Tensor& tensor) {
  static_cast<Owner*>(tensor.storage().data_ptr().get_context())->written = streams.step();
}

bool is_stand_in(const at::Tensor& tensor) { return tensor.device().type() == kStandIn; }

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
    const size_t first = stack_.size() - schema_.arguments().size();
    given_.assign(stack_.begin() + static_cast<int64_t>(first), stack_.end());
    for (size_t i = 0; i < given_.size(); ++i) stack_[first + i] = to_cpu(given_[i]);
    op_.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), &stack_);
    const size_t results = stack_.size() - schema_.returns().size();
    for (size_t i = 0; i < schema_.returns().size(); ++i) {
      stack_[results + i] = from_cpu(stack_[results + i], schema_.returns()[i]);
    }
  }

 private:
  c10::IValue to_cpu(const c10::IValue& value) const {
    if (value.isTensor()) return to_cpu(value.toTensor());
    if (value.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& tensor : value.toTensorVector()) list.push_back(to_cpu(tensor));
      return list;
    }
    if (value.isOptionalTensorList()) {
      c10::List<std::optional<at::Tensor>> list;
      for (const std::optional<at::Tensor>& tensor : value.toOptionalTensorVector()) {
        list.push_back(tensor ? std::optional(to_cpu(*tensor)) : std::nullopt);
      }
      return list;
    }
    if (value.isDevice()) return c10::IValue(c10::Device(at::kCPU));
    return value;
  }

  at::Tensor to_cpu(const at::Tensor& tensor) const {
    if (!tensor.defined()) return tensor;
    if (is_stand_in(tensor)) {
      check_is_made(tensor);
      return as_cpu(tensor);
    }
    TORCH_CHECK(tensor.is_cpu() && tensor.dim() == 0 && takes_cpu_numbers(schema_.name()),
                schema_.name(), ": a tensor of ", tensor.device(), " with ", tensor.dim(),
                " dimensions among tensors of ", stand_in_device());
    return tensor;
  }

  c10::IValue from_cpu(const c10::IValue& value, const c10::Argument& described) const {
    if (value.isTensorList()) {
      c10::List<at::Tensor> list;
      for (const at::Tensor& tensor : value.toTensorVector())
        list.push_back(from_cpu(tensor, described));
      return list;
    }
    if (!value.isTensor()) return value;
    return from_cpu(value.toTensor(), described);
  }

  // What was written to is what was given; a view of what was given is a view of it here too; the
  // rest is new.
  at::Tensor from_cpu(const at::Tensor& made, const c10::Argument& described) const {
    if (!made.defined()) return made;
    if (const c10::AliasInfo* alias = described.alias_info()) {
      const at::Tensor& source = argument_aliased_by(*alias);
      if (!alias->isWrite())
        return source.as_strided(made.sizes(), made.strides(), made.storage_offset());
      if (made.sizes() != source.sizes()) become(source, made);
      mark_as_written(source);
      return source;
    }
    return as_stand_in(made);
  }

  const at::Tensor& argument_aliased_by(const c10::AliasInfo& alias) const {
    for (size_t i = 0; i < given_.size(); ++i) {
      const c10::AliasInfo* own = schema_.arguments()[i].alias_info();
      if (own != nullptr && own->beforeSets() == alias.beforeSets() && given_[i].isTensor())
        return given_[i].toTensor();
    }
    TORCH_CHECK(false, schema_.name(), ": no argument is what the result stands for");
  }

  const c10::OperatorHandle& op_;
  const c10::FunctionSchema& schema_;
  torch::jit::Stack& stack_;
  std::vector<c10::IValue> given_;
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

at::Tensor copy_from(const at::Tensor& from, const at::Tensor& to, bool) {
  const auto seen = [](const at::Tensor& tensor) {
    return is_stand_in(tensor) ? as_cpu(tensor) : tensor;
  };
  seen(to).copy_(seen(from));
  return to;
}

at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight,
                    const std::optional<at::Tensor>& bias, c10::IntArrayRef stride,
                    c10::IntArrayRef padding, c10::IntArrayRef dilation, bool transposed,
                    c10::IntArrayRef output_padding, int64_t groups) {
  const bool has_bias = bias && bias->defined();
  TORCH_CHECK(is_stand_in(x) && is_stand_in(weight) && (!has_bias || is_stand_in(*bias)),
              "a convolution over two devices");
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

// One device with two streams.
struct Guard final : c10::impl::DeviceGuardImplInterface {
  Guard() = default;
  explicit Guard(c10::DeviceType) {}
  c10::DeviceType type() const override { return kStandIn; }
  c10::Device exchangeDevice(c10::Device) const override { return getDevice(); }
  c10::Device getDevice() const override { return {kStandIn, 0}; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::Stream getStream(c10::Device) const override { return stream_of(streams.current); }
  c10::Stream getDefaultStream(c10::Device) const override { return stream_of(0); }
  c10::Stream getStreamFromGlobalPool(c10::Device, bool) const override { return stream_of(1); }
  c10::Stream exchangeStream(c10::Stream stream) const override {
    return stream_of(std::exchange(streams.current, static_cast<int>(stream.id())));
  }
  void record(void** event, const c10::Stream& stream, c10::DeviceIndex,
              c10::EventFlag) const override {
    if (*event == nullptr) *event = new Clock;
    *static_cast<Clock*>(*event) = streams.known[stream.id()];
  }
  void block(void* event, const c10::Stream& stream) const override {
    Clock& known = streams.known[stream.id()];
    for (int i = 0; i < 2; ++i)
      known.of[i] = std::max(known.of[i], static_cast<Clock*>(event)->of[i]);
  }
  void destroyEvent(void* event, c10::DeviceIndex) const noexcept override {
    delete static_cast<Clock*>(event);
  }
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }
  void synchronizeDevice(c10::DeviceIndex) const override {}
};

C10_REGISTER_GUARD_IMPL(PrivateUse1, Guard);

}  // namespace

at::Device stand_in_device() {
  static const bool registered = [] {
    c10::SetAllocator(kStandIn, &allocator());
    return true;
  }();
  (void)registered;
  return {kStandIn, 0};
}

at::Device test_device() {
  const char* name = std::getenv("SORA_TEST_DEVICE");
  return name != nullptr && std::string_view(name) == "stand-in" ? stand_in_device()
                                                                 : at::Device(at::kCPU);
}

int64_t stand_in_bytes() { return alive_bytes; }
int64_t most_stand_in_bytes() { return most_bytes; }
void reset_most_stand_in_bytes() { most_bytes = alive_bytes.load(); }

}  // namespace sora
