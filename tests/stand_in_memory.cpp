#include "tests/stand_in_memory.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <utility>
#include <vector>

#include "tests/stand_in_recording.h"

namespace sora::stand_in {
namespace {

// Set in every address of the device: no address of a program has this bit on x86-64 or Arm, so
// that reading one is a fault.
constexpr uintptr_t kMark = uintptr_t{1} << 55;

std::atomic<int64_t> alive{0}, most{0};

void* marked(void* host) {
  return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(host) | kMark);
}
void* host_of(const void* device) {
  return reinterpret_cast<void*>(reinterpret_cast<uintptr_t>(device) & ~kMark);
}

void count(int64_t bytes) {
  const int64_t now = alive += bytes;
  int64_t before = most;
  while (now > before && !most.compare_exchange_weak(before, now)) {
  }
}

using Owner = std::shared_ptr<Memory>;

// The memory of a CPU tensor under an address of the device, alive as long as that is.
c10::DataPtr adopt(at::Tensor made) {
  void* const address = marked(made.storage().mutable_data());
  auto memory = std::make_shared<Memory>(std::move(made));
  if (Recording* underway = recording()) underway->take_in(memory);
  return {address, new Owner(std::move(memory)),
          [](void* owner) { delete static_cast<Owner*>(owner); }, c10::Device(kType, 0)};
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

at::Tensor with_storage(c10::Storage storage, c10::DispatchKey key, const at::Tensor& like) {
  at::Tensor tensor = at::detail::make_tensor<c10::TensorImpl>(
      std::move(storage), c10::DispatchKeySet(key), like.dtype());
  tensor.unsafeGetTensorImpl()->set_sizes_and_strides(like.sizes(), like.strides(),
                                                      like.storage_offset());
  return tensor;
}

at::Tensor seen_by_cpu(const at::Tensor& tensor, void* owner, c10::DeleterFnPtr let_go) {
  const c10::Storage& storage = tensor.storage();
  c10::Storage seen(c10::Storage::use_byte_size_t(), storage.nbytes(),
                    c10::DataPtr(host_of(storage.data()), owner, let_go, at::kCPU),
                    c10::GetAllocator(at::kCPU), /*resizable=*/true);
  return with_storage(std::move(seen), c10::DispatchKey::CPU, tensor);
}

c10::Storage adopted_storage(const at::Tensor& made) {
  return {c10::Storage::use_byte_size_t(), made.storage().nbytes(), adopt(made), allocator(),
          /*resizable=*/false};
}

struct LateCopy {
  at::Tensor from, to;
  std::weak_ptr<Memory> memory;
  Place written, place;
};
thread_local std::vector<LateCopy> late_copies;

constexpr double kNotYet = 77;  // what is read of a copy that was not waited for

void finish(const LateCopy& copy) {
  const std::shared_ptr<Memory> memory = copy.memory.lock();
  TORCH_CHECK(memory != nullptr, "memory was freed before a copy from it was waited for");
  TORCH_CHECK(memory->written == copy.written,
              "memory was written to before a copy from it was waited for");
  copy.to.copy_(copy.from);
}

}  // namespace

void Clock::include(const Clock& other) {
  for (int stream = 0; stream < 2; ++stream) of[stream] = std::max(of[stream], other.of[stream]);
}

Streams& streams() {
  thread_local Streams of_thread;
  return of_thread;
}

Memory::Memory(at::Tensor made)
    : held(std::move(made)),
      bytes(static_cast<int64_t>(held.storage().nbytes())),
      written(streams().step()) {
  count(bytes);
}
Memory::~Memory() { count(-bytes); }
void Memory::spoil() {
  if (bytes > 0) std::memset(held.storage().mutable_data(), 0xFF, static_cast<size_t>(bytes));
}

int64_t alive_bytes() { return alive; }
int64_t most_alive_bytes() { return most; }
void reset_most_alive_bytes() { most = alive.load(); }

bool is_stand_in(const at::Tensor& tensor) { return tensor.device().type() == kType; }

const std::shared_ptr<Memory>& memory_of(const at::Tensor& tensor) {
  return *static_cast<const Owner*>(tensor.storage().data_ptr().get_context());
}

c10::Allocator* allocator() {
  static StandInAllocator one;
  return &one;
}

at::Tensor as_cpu(const at::Tensor& tensor) {
  return seen_by_cpu(tensor, new c10::Storage(tensor.storage()),
                     [](void* owner) { delete static_cast<c10::Storage*>(owner); });
}
at::Tensor as_borrowed_cpu(const at::Tensor& tensor) {
  return seen_by_cpu(tensor, nullptr, &c10::detail::deleteNothing);
}

at::Tensor as_stand_in(const at::Tensor& made) {
  return with_storage(adopted_storage(made), c10::DispatchKey::PrivateUse1, made);
}

void become(const at::Tensor& tensor, const at::Tensor& made) {
  if (tensor.numel() > 0) refuse_while_recording("a tensor is resized");
  c10::TensorImpl* impl = tensor.unsafeGetTensorImpl();
  impl->set_storage_keep_dtype(adopted_storage(made));
  impl->set_sizes_and_strides(made.sizes(), made.strides(), made.storage_offset());
}

void check_is_made(const at::Tensor& tensor) {
  TORCH_CHECK(streams().known_here().covers(memory_of(tensor)->written),
              "a tensor is used before the stream that makes it has been waited for");
}

void mark_as_written(const at::Tensor& tensor) {
  Memory& memory = *memory_of(tensor);
  TORCH_CHECK(recording() == nullptr || recording()->owns(memory),
              "a recorded operator writes to memory that is not the graph's");
  memory.written = streams().step();
}

void copy_later(const at::Tensor& from, const at::Tensor& to_pinned) {
  for (const LateCopy& other : late_copies) {
    TORCH_CHECK(other.to.storage().data() != to_pinned.storage().data(),
                "pinned memory is copied to before the copy before it was waited for");
  }
  to_pinned.fill_(kNotYet);
  const std::shared_ptr<Memory>& memory = memory_of(from);
  late_copies.push_back(
      {as_borrowed_cpu(from), to_pinned, memory, memory->written, streams().step()});
}

void finish_copies(const Clock& waited_for) {
  std::vector<LateCopy> all = std::exchange(late_copies, {});
  const auto later = std::stable_partition(
      all.begin(), all.end(), [&](const LateCopy& copy) { return waited_for.covers(copy.place); });
  late_copies.assign(later, all.end());
  std::for_each(all.begin(), later, finish);
}

}  // namespace sora::stand_in
