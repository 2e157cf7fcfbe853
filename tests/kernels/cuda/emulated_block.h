// A block of GPU threads on the CPU: what TileAttention asks of its machine, by the definitions of
// the PTX ISA.
//
// Each thread is a fiber that runs until it waits for the others of its block or warp. Copies to
// shared memory take place when they are waited for and not before, so a read that does not wait
// finds the bytes that were there. What this cannot show: that inline PTX says what its wrapper
// means, races between warps, and speed.
#pragma once

#include <c10/util/BFloat16.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <vector>

#include "tests/kernels/cuda/fibers.h"

namespace sora::kernels::cuda {

class EmulatedBlock;

class EmulatedThread {
 public:
  EmulatedThread(EmulatedBlock& block, int thread) : block_(block), thread_(thread) {}
  int thread() const { return thread_; }
  int lane() const { return thread_ % 32; }
  int warp() const { return thread_ / 32; }
  void barrier();

  void copy_16_bytes(uint32_t to, const void* from, bool exists) {
    copies_.back().push_back({to, from, exists});
  }
  void commit() { copies_.emplace_back(); }
  template <int kNewest>
  void wait() {
    while (copies_.size() > kNewest + 1) {  // the last group is not committed yet
      finish(copies_.front());
      copies_.erase(copies_.begin());
    }
  }

  void load_matrices(uint32_t (&out)[4], uint32_t row);
  void load_transposed_matrices(uint32_t (&out)[4], uint32_t row);
  void multiply_add(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);
  uint32_t pack(float low, float high) const {
    return c10::BFloat16(low).x | static_cast<uint32_t>(c10::BFloat16(high).x) << 16;
  }
  float exp2(float x) const { return std::exp2(x); }
  float larger(float a, float b) const { return std::fmax(a, b); }
  float largest_of_quad(float x);
  template <int kLanes>
  float largest_of_lanes(float x) {
    for (int mask = kLanes / 2; mask > 0; mask /= 2) x = std::fmax(x, of_neighbour(x, mask));
    return x;
  }
  float sum_of_quad(float x);
  float square_root(float x) const { return std::sqrt(x); }
  template <int kThreads>
  float sum_of_block(float x);

 private:
  struct Copy {
    uint32_t to;
    const void* from;
    bool exists;
  };
  void finish(const std::vector<Copy>& group);
  float of_neighbour(float x, int mask);

  EmulatedBlock& block_;
  int thread_;
  std::vector<std::vector<Copy>> copies_ = std::vector<std::vector<Copy>>(1);
};

class EmulatedBlock {
 public:
  EmulatedBlock(int threads, int shared_bytes)
      : shared(static_cast<size_t>(shared_bytes), 0x7f),
        slots(static_cast<size_t>(threads)),
        warps_(threads / 32) {}

  // Runs `work` as every thread of the block, to the end.
  void run(const std::function<void(EmulatedThread&)>& work) {
    fibers.run(static_cast<int>(slots.size()), [&](int number) {
      EmulatedThread thread(*this, number);
      work(thread);
    });
  }
  void wait_for_block() { all_.wait(fibers, slots.size()); }
  void wait_for_warp(int warp) { warps_[static_cast<size_t>(warp)].wait(fibers, 32); }

  struct Slot {
    uint32_t words[6];
    float number;
  };
  Fibers fibers;
  std::vector<char> shared;
  std::vector<Slot> slots;  // what a thread shows the others of its warp

 private:
  Meeting all_;
  std::vector<Meeting> warps_;
};

inline void EmulatedThread::barrier() { block_.wait_for_block(); }

inline void EmulatedThread::finish(const std::vector<Copy>& group) {
  for (const Copy& copy : group) {
    char* to = block_.shared.data() + copy.to;
    copy.exists ? std::memcpy(to, copy.from, 16) : std::memset(to, 0, 16);
  }
}

// ldmatrix .x4: eight lanes each name the rows of one 8x8 matrix; lane l gets numbers 2 (l % 4) and
// the next of row l / 4.
inline void EmulatedThread::load_matrices(uint32_t (&out)[4], uint32_t row) {
  const auto first = static_cast<size_t>(warp() * 32);
  block_.slots[static_cast<size_t>(thread_)].words[0] = row;
  block_.wait_for_warp(warp());
  for (size_t matrix = 0; matrix < 4; ++matrix) {
    const uint32_t at = block_.slots[first + matrix * 8 + static_cast<size_t>(lane() / 4)].words[0];
    std::memcpy(&out[matrix], block_.shared.data() + at + lane() % 4 * 4, 4);
  }
  block_.wait_for_warp(warp());
}

// .trans: lane l gets numbers l / 4 of rows 2 (l % 4) and the next.
inline void EmulatedThread::load_transposed_matrices(uint32_t (&out)[4], uint32_t row) {
  const auto first = static_cast<size_t>(warp() * 32);
  block_.slots[static_cast<size_t>(thread_)].words[0] = row;
  block_.wait_for_warp(warp());
  for (size_t matrix = 0; matrix < 4; ++matrix) {
    uint16_t two[2];
    for (size_t i = 0; i < 2; ++i) {
      const uint32_t at =
          block_.slots[first + matrix * 8 + static_cast<size_t>(lane() % 4) * 2 + i].words[0];
      std::memcpy(&two[i], block_.shared.data() + at + lane() / 4 * 2, 2);
    }
    out[matrix] = two[0] | static_cast<uint32_t>(two[1]) << 16;
  }
  block_.wait_for_warp(warp());
}

// mma.m16n8k16: a holds rows l / 4 and + 8 (registers 1, 3), columns 2 (l % 4) and + 8 (registers
// 2, 3); b column l / 4, rows 2 (l % 4) and + 8; the sum rows l / 4 and + 8, columns 2 (l % 4) and
// the next.
inline void EmulatedThread::multiply_add(float (&sum)[4], const uint32_t (&a)[4], uint32_t b0,
                                         uint32_t b1) {
  const int first = warp() * 32;
  auto& mine = block_.slots[static_cast<size_t>(thread_)].words;
  for (int i = 0; i < 4; ++i) mine[i] = a[i];
  mine[4] = b0;
  mine[5] = b1;
  block_.wait_for_warp(warp());
  const auto half = [](uint32_t word, int i) {
    return static_cast<float>(
        c10::BFloat16(static_cast<uint16_t>(i ? word >> 16 : word), c10::BFloat16::from_bits()));
  };
  for (int i = 0; i < 4; ++i) {
    const int row = lane() / 4 + i / 2 * 8, column = lane() % 4 * 2 + i % 2;
    for (int k = 0; k < 16; ++k) {
      const auto& left = block_.slots[static_cast<size_t>(first + row % 8 * 4 + k % 8 / 2)].words;
      const auto& right = block_.slots[static_cast<size_t>(first + column * 4 + k % 8 / 2)].words;
      sum[i] += half(left[row / 8 + k / 8 * 2], k % 2) * half(right[4 + k / 8], k % 2);
    }
  }
  block_.wait_for_warp(warp());
}

template <int kThreads>
float EmulatedThread::sum_of_block(float x) {
  block_.slots[static_cast<size_t>(thread_)].number = x;
  block_.wait_for_block();
  float sum = 0.0F;
  for (size_t i = 0; i < kThreads; ++i) sum += block_.slots[i].number;
  block_.wait_for_block();
  return sum;
}

inline float EmulatedThread::of_neighbour(float x, int mask) {
  block_.slots[static_cast<size_t>(thread_)].number = x;
  block_.wait_for_warp(warp());
  const float other = block_.slots[static_cast<size_t>(thread_ ^ mask)].number;
  block_.wait_for_warp(warp());
  return other;
}
inline float EmulatedThread::largest_of_quad(float x) {
  x = std::fmax(x, of_neighbour(x, 1));
  return std::fmax(x, of_neighbour(x, 2));
}
inline float EmulatedThread::sum_of_quad(float x) {
  x += of_neighbour(x, 1);
  return x + of_neighbour(x, 2);
}

}  // namespace sora::kernels::cuda
