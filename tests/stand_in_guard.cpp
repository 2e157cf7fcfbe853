#include "tests/stand_in_guard.h"

#include <ATen/core/CachingHostAllocator.h>
#include <ATen/detail/PrivateUse1HooksInterface.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/DeviceType.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <c10/core/impl/alloc_cpu.h>

#include <cstring>
#include <map>
#include <utility>

#include "tests/stand_in_memory.h"
#include "tests/stand_in_recording.h"

namespace sora::stand_in {
namespace {

c10::Stream stream_of(int index) {
  return c10::Stream(c10::Stream::UNSAFE, c10::Device(kType, 0), static_cast<c10::StreamId>(index));
}

// One device with two streams. An event is how far along both its stream is.
struct Guard final : c10::impl::DeviceGuardImplInterface {
  c10::DeviceType type() const override { return kType; }
  c10::Device exchangeDevice(c10::Device) const override { return getDevice(); }
  c10::Device getDevice() const override { return {kType, 0}; }
  void setDevice(c10::Device) const override {}
  void uncheckedSetDevice(c10::Device) const noexcept override {}
  c10::DeviceIndex deviceCount() const noexcept override { return 1; }

  c10::Stream getStream(c10::Device) const override { return stream_of(streams().current); }
  c10::Stream getDefaultStream(c10::Device) const override { return stream_of(0); }
  c10::Stream getStreamFromGlobalPool(c10::Device, bool) const override { return stream_of(1); }
  c10::Stream exchangeStream(c10::Stream stream) const override {
    return stream_of(std::exchange(streams().current, static_cast<int>(stream.id())));
  }

  void record(void** event, const c10::Stream& stream, c10::DeviceIndex,
              c10::EventFlag) const override {
    refuse_while_recording("an event is recorded");
    if (*event == nullptr) *event = new Clock;
    *static_cast<Clock*>(*event) = streams().known[stream.id()];
  }
  void block(void* event, const c10::Stream& stream) const override {
    refuse_while_recording("an event is waited for");
    streams().known[stream.id()].include(*static_cast<Clock*>(event));
  }
  void synchronizeEvent(void* event) const override {
    refuse_while_recording("an event is waited for");
    waited_for(*static_cast<Clock*>(event));
  }
  void synchronizeStream(const c10::Stream& stream) const override {
    refuse_while_recording("a stream is waited for");
    waited_for(streams().known[stream.id()]);
  }
  void synchronizeDevice(c10::DeviceIndex) const override {
    for (const int stream : {0, 1}) synchronizeStream(stream_of(stream));
  }
  void destroyEvent(void* event, c10::DeviceIndex) const noexcept override {
    delete static_cast<Clock*>(event);
  }

 private:
  // By the CPU: what either stream is given from now on comes after it.
  static void waited_for(const Clock clock) {
    for (Clock& known : streams().known) known.include(clock);
    finish_copies(clock);
  }
};

// The CPU's memory, of which it is known where it begins. What is let go is kept, as CUDA's is,
// until the cache is emptied; none of it is given out again.
class PinnedMemory final : public at::HostAllocator {
 public:
  static PinnedMemory& instance() {
    static PinnedMemory one;
    return one;
  }

  c10::DataPtr allocate(size_t bytes) override {
    void* const block = c10::alloc_cpu(bytes);
    blocks_[block] = {bytes, /*in_use=*/true};
    return {block, block, &let_go, c10::Device(at::kCPU)};
  }
  c10::DeleterFnPtr raw_deleter() const override { return &let_go; }
  void copy_data(void* dest, const void* src, size_t bytes) const override {
    std::memcpy(dest, src, bytes);
  }
  void empty_cache() override {
    std::erase_if(blocks_, [](const auto& entry) {
      if (!entry.second.in_use) c10::free_cpu(entry.first);
      return !entry.second.in_use;
    });
  }
  bool record_event(void*, void*, c10::Stream) override { return true; }
  at::HostStats get_stats() override { return {}; }
  void reset_accumulated_stats() override {}
  void reset_peak_stats() override {}

  bool has(const void* address) const {
    const auto found = blocks_.find(const_cast<void*>(address));
    return found != blocks_.end() && found->second.in_use;
  }
  int64_t bytes() const {
    size_t sum = 0;
    for (const auto& [address, block] : blocks_) sum += block.bytes;
    return static_cast<int64_t>(sum);
  }

 private:
  struct Block {
    size_t bytes = 0;
    bool in_use = false;
  };
  static void let_go(void* block) { instance().blocks_[block].in_use = false; }

  std::map<void*, Block> blocks_;
};

struct Hooks final : at::PrivateUse1HooksInterface {
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  bool isPinnedPtr(const void* data) const override { return PinnedMemory::instance().has(data); }
  at::Allocator* getPinnedMemoryAllocator() const override { return &PinnedMemory::instance(); }
};

}  // namespace

void register_guard() {
  static Hooks hooks;
  static const c10::impl::DeviceGuardImplRegistrar registrar(kType, new Guard);
  at::RegisterPrivateUse1HooksInterface(&hooks);
  at::setHostAllocator(kType, &PinnedMemory::instance());
  c10::register_privateuse1_backend("stand_in");  // else it is not asked for pinned memory
}

bool is_pinned(const at::Tensor& tensor) {
  return PinnedMemory::instance().has(tensor.storage().data());
}

int64_t pinned_bytes() { return PinnedMemory::instance().bytes(); }

}  // namespace sora::stand_in
