#include "lib/nn/tensor_memory.h"

#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>

#include <bit>
#include <cstring>
#include <iterator>
#include <list>
#include <map>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "kernels/cpu/large_pages.h"

namespace sora {
namespace {

// Smaller blocks are left to malloc, which keeps them itself.
constexpr size_t kLeastBytes = size_t{1} << 20;

// Sizes are rounded up to eighths of a power of two: at most an eighth is wasted, and blocks fit
// the next tensor more often.
size_t size_class(size_t bytes) {
  const size_t step = std::bit_floor(bytes) / 8;
  return (bytes + step - 1) / step * step;
}

// From c10::free_cpu's malloc in both cases; of less than two large pages alignment wastes too
// much.
void* fresh_block(size_t bytes) {
  const auto size = static_cast<int64_t>(bytes);
  return size < 2 * kernels::cpu::kLargePage ? c10::alloc_cpu(bytes)
                                             : kernels::cpu::memory_in_large_pages(size);
}

class KeepingAllocator final : public c10::Allocator {
 public:
  static KeepingAllocator& instance() {
    // Never destroyed: tensors with static storage are freed after everything else.
    static auto* const allocator = new KeepingAllocator;
    return *allocator;
  }

  c10::DataPtr allocate(size_t bytes) override {
    void* const block = bytes < kLeastBytes ? c10::alloc_cpu(bytes) : take(size_class(bytes));
    return {block, block, &free_block, c10::Device(c10::DeviceType::CPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &free_block; }
  void copy_data(void* dest, const void* src, size_t bytes) const override {
    std::memcpy(dest, src, bytes);
  }

  void set_limit(size_t bytes) {
    const std::lock_guard lock(mutex_);
    limit_ = bytes;
    shrink_to(limit_);
  }
  void release() {
    const std::lock_guard lock(mutex_);
    shrink_to(0);
  }
  int64_t num_fresh() {
    const std::lock_guard lock(mutex_);
    return num_fresh_;
  }
  size_t kept_bytes() {
    const std::lock_guard lock(mutex_);
    return kept_bytes_;
  }

 private:
  struct Kept {
    void* block;
    size_t bytes;
  };
  using Place = std::list<Kept>::iterator;

  static void free_block(void* block) {
    if (block) instance().give_back(block);
  }

  void* take(size_t bytes) {
    {
      const std::lock_guard lock(mutex_);
      if (const auto found = by_size_.find(bytes); found != by_size_.end()) {
        void* const block = found->second->block;
        kept_.erase(found->second);
        by_size_.erase(found);
        kept_bytes_ -= bytes;
        in_use_.emplace(block, bytes);
        return block;
      }
    }
    void* const block = fresh_block(bytes);
    const std::lock_guard lock(mutex_);
    ++num_fresh_;
    in_use_.emplace(block, bytes);
    return block;
  }

  void give_back(void* block) {
    const std::lock_guard lock(mutex_);
    const auto found = in_use_.find(block);
    if (found == in_use_.end()) {
      c10::free_cpu(block);
      return;
    }
    const size_t bytes = found->second;
    in_use_.erase(found);
    kept_.push_front({block, bytes});
    by_size_.emplace(bytes, kept_.begin());
    kept_bytes_ += bytes;
    shrink_to(limit_);
  }

  void shrink_to(size_t limit) {
    while (kept_bytes_ > limit) {
      const Place oldest = std::prev(kept_.end());
      auto entry = by_size_.lower_bound(oldest->bytes);
      while (entry->second != oldest) ++entry;
      by_size_.erase(entry);
      kept_bytes_ -= oldest->bytes;
      c10::free_cpu(oldest->block);
      kept_.erase(oldest);
    }
  }

  std::mutex mutex_;
  size_t limit_ = 0;
  size_t kept_bytes_ = 0;
  int64_t num_fresh_ = 0;
  std::list<Kept> kept_;  // the latest first
  std::multimap<size_t, Place> by_size_;
  std::unordered_map<void*, size_t> in_use_;
};

}  // namespace

void keep_tensor_memory(int64_t limit_bytes) {
  KeepingAllocator::instance().set_limit(static_cast<size_t>(limit_bytes));
  static const bool installed = [] {
    c10::SetCPUAllocator(&KeepingAllocator::instance(), /*priority=*/1);
    return true;
  }();
  (void)installed;
}

void release_tensor_memory() { KeepingAllocator::instance().release(); }

int64_t fresh_tensor_blocks() { return KeepingAllocator::instance().num_fresh(); }

int64_t kept_tensor_bytes() {
  return static_cast<int64_t>(KeepingAllocator::instance().kept_bytes());
}

}  // namespace sora
