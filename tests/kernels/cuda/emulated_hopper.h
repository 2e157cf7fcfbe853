// A block of threads of sm_90a on the CPU: what the kernels of kernels/cuda/hopper ask of their
// machine, by the definitions of the PTX ISA (mbarrier, cp.async.bulk.tensor, wgmma.mma_async,
// setmaxnreg, bar).
//
// What hardware would punish with wrong numbers or by standing still is an error here:
// - A box arrives when a thread waits for it and not before, and products are computed when they
//   are waited for, from the bytes that lie there then: whatever comes too early finds other bytes.
// - A box over bytes that a product under way reads; a product of bytes that no box filled, or that
//   one is still to fill.
// - Registers of a product under way that are touched: results hold NaN until then, and left
//   operands are compared. Registers that were written without a fence before the product.
// - A barrier's phase with more arrivals or bytes than it was told, or that ends before its boxes.
// - Threads of a warpgroup that disagree about a product; more registers than there are; deadlock.
//
// What this cannot show: that inline PTX says what its wrapper means, and speed.
#pragma once

#include <c10/util/Float8_e4m3fn.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <deque>
#include <map>
#include <numeric>
#include <string>

#include "kernels/cuda/hopper/tile_source.h"
#include "tests/kernels/cuda/emulated_block.h"

namespace sora::kernels::cuda::hopper {

class HopperBlock;

// Of a product's operands. Sums are words: int32 of int8, f32 of the others.
enum class Operands { Bf16, Int8, E4m3 };

// One wgmma of one thread.
struct Product {
  Operands operands;
  uint32_t* sums;
  int pieces;
  bool accumulate;
  const uint32_t* left;  // four registers, or null: by descriptor
  std::array<uint32_t, 4> left_copy;
  uint64_t left_descriptor, right_descriptor;
  bool right_is_transposed;
  size_t summed() const { return operands == Operands::Bf16 ? 16 : 32; }  // 32 bytes
};

class HopperThread : public EmulatedThread {
 public:
  using TensorMap = TileSource;
  HopperThread(HopperBlock& block, int thread);

  int warpgroup() const { return thread() / 128; }
  int block() const;
  int blocks() const;
  uint32_t address(uint32_t offset) const;

  template <int kRegisters>
  void give_registers() {
    set_registers(kRegisters);
  }
  template <int kRegisters>
  void take_registers() {
    set_registers(kRegisters);
  }
  uint32_t pack_e4m3(float a, float b, float c, float d) const {
    uint32_t word = 0;
    for (const float x : {d, c, b, a})  // satfinite
      word = word << 8 | c10::Float8_e4m3fn(std::isnan(x) ? x : std::clamp(x, -448.0F, 448.0F)).x;
    return word;
  }
  void sync(int barrier, int threads);
  void arrive_at(int barrier, int threads);

  void make_barrier(uint32_t at, int arrivals);
  void publish_barriers() {}
  void arrive(uint32_t at);
  void expect(uint32_t at, uint32_t bytes);
  void wait_for_phase(uint32_t at, uint32_t parity);
  void copy_box(const TileSource& source, uint32_t to, uint32_t barrier, int column, int row,
                int head, int batch);

  template <bool kAccumulate, int kPieces>
  void multiply(float (&sums)[kPieces][4], uint64_t left, uint64_t right) {
    start({Operands::Bf16, words(sums), kPieces, kAccumulate, nullptr, {}, left, right, false});
  }
  template <int kPieces>
  void multiply_add(float (&sums)[kPieces][4], const uint32_t (&left)[4], uint64_t right) {
    start({Operands::Bf16, words(sums), kPieces, true, left, copy(left), 0, right, true});
  }
  template <int kPieces>
  void multiply_add_int8(uint32_t (&sums)[kPieces][4], uint64_t left, uint64_t right) {
    start({Operands::Int8, words(sums), kPieces, true, nullptr, {}, left, right, false});
  }
  template <bool kAccumulate, int kPieces>
  void multiply_e4m3(float (&sums)[kPieces][4], const uint32_t (&left)[4], uint64_t right) {
    start({Operands::E4m3, words(sums), kPieces, kAccumulate, left, copy(left), 0, right, false});
  }
  template <class... Registers>
  void fence(Registers&... registers) {
    (remember(&registers[0][0], sizeof(registers)), ...);
  }
  void commit_products() { groups_.emplace_back(); }
  void order_after(float x) const;
  template <int kNewest, class... Registers>
  void wait_for_products(Registers&...) {
    wait_for_groups(kNewest);
  }

 private:
  friend class HopperBlock;
  template <class Number, int kPieces>
  static uint32_t* words(Number (&sums)[kPieces][4]) {
    static_assert(sizeof(Number) == 4);
    return reinterpret_cast<uint32_t*>(&sums[0][0]);
  }
  static std::array<uint32_t, 4> copy(const uint32_t (&left)[4]) {
    return {left[0], left[1], left[2], left[3]};
  }
  void set_registers(int count);
  void start(const Product& product);
  void wait_for_groups(size_t newest);
  void end_group();
  // What registers held at the last fence that named them, or when products left them.
  void remember(const void* at, size_t bytes) {
    const char* from = static_cast<const char*>(at);
    fenced_[from].assign(from, from + bytes);
  }
  bool is_as_fenced(const void* at, size_t bytes) const;

  HopperBlock& block_;
  std::deque<std::vector<Product>> groups_ = std::deque<std::vector<Product>>(1);
  std::map<const char*, std::vector<char>> fenced_;
  std::map<uint32_t*, std::vector<uint32_t>> under_way_;  // sums before the products added to them
};

class HopperBlock : public EmulatedBlock {
 public:
  // Of a grid of `blocks` blocks, number `block`.
  HopperBlock(int threads, uint32_t shared_bytes, int block, int blocks)
      : EmulatedBlock(threads, static_cast<int>(shared_bytes)),
        number(block),
        count(blocks),
        threads_(static_cast<size_t>(threads)),
        waiting_(static_cast<size_t>(threads) / 128),
        registers_(static_cast<size_t>(threads), kRegisterFile / threads / 8 * 8),
        granules_(shared_bytes / 16 + 1) {}

  void run(const std::function<void(HopperThread&)>& work) {
    fibers.run(static_cast<int>(threads_.size()), [&](int i) {
      HopperThread thread(*this, i);
      threads_[static_cast<size_t>(i)] = &thread;
      work(thread);
      if (!thread.under_way_.empty()) fail("a thread ends before its products");
    });
    for (const auto& [at, barrier] : barriers_)
      if (!barrier.boxes.empty()) fail("a block ends before a box has arrived");
  }

  const int number, count;

 private:
  friend class HopperThread;
  static constexpr int kRegisterFile = 65536;
  static constexpr uint32_t kFirstAddress = 1024;    // of the block's own shared memory
  static constexpr int kRows = 64;                   // of a product
  static constexpr uint32_t kUnderWay = 0x7fc00000;  // NaN, where it is read as f32

  struct Box {
    TileSource source;
    uint32_t to;
    int first[4];  // column, row, head, batch
  };
  struct Barrier {
    int arrivals, missing;
    int64_t bytes = 0;
    uint64_t phase = 0;
    std::vector<Box> boxes;
  };
  // What is known of 16 bytes of shared memory.
  struct Granule {
    int boxes = 0, products = 0;  // under way
    bool filled = false;
  };

  [[noreturn]] static void fail(const std::string& what) { throw std::runtime_error(what); }
  Barrier& barrier_at(uint32_t at) {
    const auto found = barriers_.find(at);
    if (found == barriers_.end()) fail("no barrier was made here");
    return found->second;
  }
  void count_arrival(Barrier& barrier) {
    if (--barrier.missing < 0) fail("more arrivals at a barrier than its phase has");
    end_phase_if_complete(barrier);
  }
  void end_phase_if_complete(Barrier& barrier) {
    if (barrier.missing > 0 || barrier.bytes != 0) return;
    if (!barrier.boxes.empty()) fail("a phase ends before its boxes have arrived");
    barrier.missing = barrier.arrivals;
    ++barrier.phase;
    fibers.step();
  }
  void begin_box(Barrier& barrier, const Box& box);
  void end_a_box(Barrier& barrier);
  void fill(const Box& box);

  // Each 16 bytes of an operand of 64 or 8 * pieces rows or columns, by its descriptor.
  template <class Visit>
  void for_each_granule(uint64_t descriptor, int rows, bool transposed, Visit visit) const;
  static uint32_t field(uint64_t descriptor, int bit) {
    return static_cast<uint32_t>(descriptor >> bit & 0x3fff) << 4;
  }
  void mark(const Product& product, int change);
  void mark(Granule& granule, int change) const;

  void finish_group(int warpgroup);
  std::vector<float> operand(const Product& product, uint64_t descriptor, int rows, bool transposed,
                             size_t row_stride, size_t summed_stride) const;
  std::vector<float> left_registers(int warpgroup, size_t index) const;
  void check_agreement(int warpgroup, size_t index) const;
  template <class Visit>
  void for_each_sum(int warpgroup, size_t index, Visit visit) const;
  std::vector<uint32_t> sums_of(int warpgroup, size_t index) const;
  void keep_sums(int warpgroup, size_t index, const std::vector<uint32_t>& sums);
  static void add_product(std::vector<uint32_t>& sums, const Product& product,
                          const std::vector<float>& left, const std::vector<float>& right);
  HopperThread& thread_of(int warpgroup, int i) const {
    return *threads_[static_cast<size_t>(warpgroup * 128 + i)];
  }

  std::vector<HopperThread*> threads_;
  std::vector<Meeting> waiting_;
  std::vector<int> registers_;
  std::vector<Granule> granules_;
  std::map<uint32_t, Barrier> barriers_;
  std::map<int, Meeting> named_;
};

inline HopperThread::HopperThread(HopperBlock& block, int thread)
    : EmulatedThread(block, thread), block_(block) {}
inline int HopperThread::block() const { return block_.number; }
inline int HopperThread::blocks() const { return block_.count; }
inline uint32_t HopperThread::address(uint32_t offset) const {
  return HopperBlock::kFirstAddress + offset;
}

// Registers that others have not given away yet are waited for.
inline void HopperThread::set_registers(int count) {
  int& mine = block_.registers_[static_cast<size_t>(thread())];
  const auto others = [&] {
    return std::accumulate(block_.registers_.begin(), block_.registers_.end(), -mine);
  };
  while (others() + count > HopperBlock::kRegisterFile) block_.fibers.pass();
  mine = count;
  block_.fibers.step();
}

inline void HopperThread::sync(int barrier, int threads) {
  block_.named_[barrier].wait(block_.fibers, static_cast<size_t>(threads));
}
inline void HopperThread::arrive_at(int barrier, int threads) {
  block_.named_[barrier].arrive(block_.fibers, static_cast<size_t>(threads), [] {});
}

inline void HopperThread::make_barrier(uint32_t at, int arrivals) {
  block_.barriers_[at] = {arrivals, arrivals};
}
// Others may go on before the thread does.
inline void HopperThread::arrive(uint32_t at) {
  block_.count_arrival(block_.barrier_at(at));
  block_.fibers.step();
  block_.fibers.pass();
}
inline void HopperThread::expect(uint32_t at, uint32_t bytes) {
  block_.barrier_at(at).bytes += bytes;
  arrive(at);
}
inline void HopperThread::wait_for_phase(uint32_t at, uint32_t parity) {
  HopperBlock::Barrier& barrier = block_.barrier_at(at);
  while ((barrier.phase & 1) == parity) {
    if (barrier.boxes.empty()) {
      block_.fibers.pass();
    } else {
      block_.end_a_box(barrier);
    }
  }
}
inline void HopperThread::copy_box(const TileSource& source, uint32_t to, uint32_t barrier,
                                   int column, int row, int head, int batch) {
  block_.begin_box(block_.barrier_at(barrier), {source, to, {column, row, head, batch}});
}

inline void HopperBlock::begin_box(Barrier& barrier, const Box& box) {
  if ((kFirstAddress + box.to) % 128 != 0 || box.source.box_rows > 256)
    fail("a box that TMA does not copy");
  for (int64_t stride : box.source.strides)
    if (stride <= 0 || stride % 16 != 0) fail("a stride that TMA does not take");
  const auto first = box.to / 16, end = first + static_cast<uint32_t>(box.source.box_bytes()) / 16;
  for (uint32_t i = first; i < end; ++i) {
    Granule& granule = granules_[i];
    if (granule.products) fail("a box overwrites what a product under way reads");
    if (granule.boxes++) fail("two boxes are copied to one place");
  }
  barrier.boxes.push_back(box);
  fibers.step();
}

// Boxes arrive in any order.
inline void HopperBlock::end_a_box(Barrier& barrier) {
  const auto chosen = static_cast<int64_t>(fibers.random()() % barrier.boxes.size());
  const Box box = barrier.boxes[static_cast<size_t>(chosen)];
  barrier.boxes.erase(barrier.boxes.begin() + chosen);
  fill(box);
  barrier.bytes -= box.source.box_bytes();
  if (barrier.bytes < 0) fail("more bytes arrive than were expected");
  end_phase_if_complete(barrier);
  fibers.step();
}

inline void HopperBlock::fill(const Box& box) {
  const TileSource& source = box.source;
  const int per_granule = 16 / source.number_bytes;
  for (int row = 0; row < source.box_rows; ++row) {
    for (int piece = 0; piece < kBoxRowBytes / 16; ++piece) {
      const int64_t at[4] = {box.first[0] + piece * per_granule, box.first[1] + row, box.first[2],
                             box.first[3]};
      const uint32_t plain = kFirstAddress + box.to + static_cast<uint32_t>(row) * kBoxRowBytes +
                             static_cast<uint32_t>(piece) * 16;
      const uint32_t to = (plain ^ (plain >> 7 & 7) << 4) - kFirstAddress;
      std::memset(shared.data() + to, 0, 16);
      int64_t bytes = at[0] * source.number_bytes;
      for (int i = 1; i < 4; ++i) bytes += at[i] * source.strides[i - 1];
      const int64_t there =
          at[1] < source.sizes[1] && at[2] < source.sizes[2] && at[3] < source.sizes[3]
              ? std::clamp<int64_t>(source.sizes[0] - at[0], 0, per_granule)
              : 0;
      std::memcpy(shared.data() + to, static_cast<const char*>(source.data) + bytes,
                  static_cast<size_t>(there * source.number_bytes));
      granules_[to / 16].filled = true;
      --granules_[to / 16].boxes;
    }
  }
}

inline bool HopperThread::is_as_fenced(const void* at, size_t bytes) const {
  const char* from = static_cast<const char*>(at);
  auto found = fenced_.upper_bound(from);
  if (found == fenced_.begin()) return false;
  --found;
  const auto skip = static_cast<size_t>(from - found->first);
  return skip + bytes <= found->second.size() &&
         std::memcmp(found->second.data() + skip, from, bytes) == 0;
}

inline void HopperThread::start(const Product& product) {
  const auto count = static_cast<size_t>(product.pieces) * 4;
  if (under_way_.count(product.sums) == 0) {
    if (!is_as_fenced(product.sums, count * sizeof(uint32_t)))
      HopperBlock::fail("sums were written after the last fence");
    under_way_[product.sums].assign(product.sums, product.sums + count);
    std::fill_n(product.sums, count, HopperBlock::kUnderWay);
  }
  if (product.left && !is_as_fenced(product.left, 16))
    HopperBlock::fail("a left operand was written after the last fence");
  groups_.back().push_back(product);
  if (thread() % 128 == 0) block_.mark(product, 1);
}

// What orders here is the program; but a mask that the number makes must name the whole warp.
inline void HopperThread::order_after(float x) const {
  if (x == -1.0F) HopperBlock::fail("a synchronisation leaves threads of a warp out");
}

// All threads of the warpgroup wait together.
inline void HopperThread::wait_for_groups(size_t newest) {
  const size_t finished = groups_.size() > newest + 1 ? groups_.size() - newest - 1 : 0;
  block_.waiting_[static_cast<size_t>(warpgroup())].wait(block_.fibers, 128, [&] {
    for (size_t i = 0; i < finished; ++i) block_.finish_group(warpgroup());
  });
}

// K-major: groups of eight rows lie the stride offset apart, and a product reads 32 bytes of each
// row. MN-major: a row is one of the 16 summed over; groups of eight of them lie the stride offset
// apart, and each 64 columns the leading offset. The swizzle then permutes by address.
template <class Visit>
void HopperBlock::for_each_granule(uint64_t descriptor, int rows, bool transposed,
                                   Visit visit) const {
  if (descriptor >> 62 != 1 || (descriptor >> 49 & 7) != 0) fail("a descriptor of another swizzle");
  const uint32_t start = field(descriptor, 0), leading = field(descriptor, 16),
                 stride = field(descriptor, 32);
  const auto at = [&](uint32_t plain) {
    const uint32_t address = (plain ^ (plain >> 7 & 7) << 4) - kFirstAddress;
    if (address + 16 > shared.size()) fail("a product reads beyond shared memory");
    return address;
  };
  for (uint32_t row = 0; row < static_cast<uint32_t>(transposed ? 16 : rows); ++row) {
    const uint32_t line = start + row / 8 * stride + row % 8 * 128;
    for (uint32_t piece = 0; piece < static_cast<uint32_t>(transposed ? rows / 8 : 2); ++piece)
      visit(row, piece, at(line + (transposed ? piece / 8 * leading : 0) + piece % 8 * 16));
  }
}

inline void HopperBlock::mark(Granule& granule, int change) const {
  if (change > 0 && granule.boxes) fail("a product reads what a box is still to fill");
  if (!granule.filled) fail("a product reads what no box has filled");
  granule.products += change;
}
inline void HopperBlock::mark(const Product& product, int change) {
  const auto each = [&](uint32_t, uint32_t, uint32_t at) { mark(granules_[at / 16], change); };
  for_each_granule(product.right_descriptor, product.pieces * 8, product.right_is_transposed, each);
  if (!product.left) for_each_granule(product.left_descriptor, kRows, false, each);
}

inline float number_of(Operands operands, uint32_t word, int index) {
  if (operands == Operands::Bf16)
    return static_cast<float>(
        c10::BFloat16(static_cast<uint16_t>(word >> index * 16), c10::BFloat16::from_bits()));
  const auto byte = static_cast<uint8_t>(word >> index * 8);
  if (operands == Operands::Int8) return static_cast<float>(static_cast<int8_t>(byte));
  return static_cast<float>(c10::Float8_e4m3fn(byte, c10::Float8_e4m3fn::from_bits()));
}

// Rows of a left operand or columns of a right one, with all numbers that are summed over.
inline std::vector<float> HopperBlock::operand(const Product& product, uint64_t descriptor,
                                               int rows, bool transposed, size_t row_stride,
                                               size_t summed_stride) const {
  std::vector<float> numbers(static_cast<size_t>(rows) * product.summed());
  const auto in_word = static_cast<int>(product.summed() / 8), in_granule = in_word * 4;
  for_each_granule(descriptor, rows, transposed, [&](uint32_t row, uint32_t piece, uint32_t at) {
    for (int i = 0; i < in_granule; ++i) {
      uint32_t word;
      std::memcpy(&word, shared.data() + at + i / in_word * 4, 4);
      const size_t along = piece * static_cast<uint32_t>(in_granule) + static_cast<uint32_t>(i);
      numbers[transposed ? along * row_stride + row * summed_stride
                         : row * row_stride + along * summed_stride] =
          number_of(product.operands, word, i % in_word);
    }
  });
  return numbers;
}

// Thread t holds, of rows t / 32 * 16 + t % 32 / 4 and + 8 (registers 1, 3), the numbers of word
// t % 4 of the first 16 bytes, and of the next (registers 2, 3).
inline std::vector<float> HopperBlock::left_registers(int warpgroup, size_t index) const {
  const Product& first = thread_of(warpgroup, 0).groups_.front()[index];
  const auto in_word = static_cast<int>(first.summed() / 8);
  std::vector<float> numbers(kRows * first.summed());
  for (int t = 0; t < 128; ++t) {
    const Product& product = thread_of(warpgroup, t).groups_.front()[index];
    if (std::memcmp(product.left, product.left_copy.data(), 16) != 0)
      fail("a left operand was written while a product read it");
    for (int i = 0; i < 4 * in_word; ++i) {
      const int number = i / in_word, row = t / 32 * 16 + t % 32 / 4 + number % 2 * 8,
                column = (t % 4 + number / 2 * 4) * in_word + i % in_word;
      numbers[static_cast<size_t>(row) * first.summed() + static_cast<size_t>(column)] =
          number_of(first.operands, product.left_copy[static_cast<size_t>(number)], i % in_word);
    }
  }
  return numbers;
}

// The oldest group of each thread, whose products follow each other on the same sums.
inline void HopperBlock::finish_group(int warpgroup) {
  const std::vector<Product>& group = thread_of(warpgroup, 0).groups_.front();
  for (size_t i = 0; i < group.size(); ++i) {
    check_agreement(warpgroup, i);
    const Product& product = group[i];
    const int columns = product.pieces * 8;
    std::vector<uint32_t> sums = product.accumulate
                                     ? sums_of(warpgroup, i)
                                     : std::vector<uint32_t>(static_cast<size_t>(kRows * columns));
    add_product(sums, product,
                product.left
                    ? left_registers(warpgroup, i)
                    : operand(product, product.left_descriptor, kRows, false, product.summed(), 1),
                operand(product, product.right_descriptor, columns, product.right_is_transposed, 1,
                        static_cast<size_t>(columns)));
    keep_sums(warpgroup, i, sums);
    mark(product, -1);
  }
  for (int t = 0; t < 128; ++t) thread_of(warpgroup, t).end_group();
}

inline void HopperBlock::check_agreement(int warpgroup, size_t index) const {
  const Product& first = thread_of(warpgroup, 0).groups_.front()[index];
  for (int t = 0; t < 128; ++t) {
    const auto& group = thread_of(warpgroup, t).groups_.front();
    if (index >= group.size()) fail("a thread of a warpgroup lacks a product");
    const Product& product = group[index];
    if (product.left_descriptor != first.left_descriptor ||
        product.right_descriptor != first.right_descriptor || product.pieces != first.pieces ||
        product.accumulate != first.accumulate || product.operands != first.operands)
      fail("threads of a warpgroup disagree about a product");
  }
}

// Thread t holds, of rows t / 32 * 16 + t % 32 / 4 (registers 0, 1 of a piece) and + 8, columns
// 2 (t % 4) and the next of each piece of eight.
template <class Visit>
void HopperBlock::for_each_sum(int warpgroup, size_t index, Visit visit) const {
  for (int t = 0; t < 128; ++t) {
    HopperThread& thread = thread_of(warpgroup, t);
    const Product& product = thread.groups_.front()[index];
    std::vector<uint32_t>& held = thread.under_way_.at(product.sums);
    for (int i = 0; i < product.pieces * 4; ++i) {
      const int row = t / 32 * 16 + t % 32 / 4 + i % 4 / 2 * 8,
                column = i / 4 * 8 + t % 4 * 2 + i % 2;
      visit(held[static_cast<size_t>(i)], static_cast<size_t>(row * product.pieces * 8 + column));
    }
  }
}
inline std::vector<uint32_t> HopperBlock::sums_of(int warpgroup, size_t index) const {
  const Product& product = thread_of(warpgroup, 0).groups_.front()[index];
  std::vector<uint32_t> sums(static_cast<size_t>(kRows * product.pieces * 8));
  for_each_sum(warpgroup, index, [&](uint32_t& held, size_t at) { sums[at] = held; });
  return sums;
}
inline void HopperBlock::keep_sums(int warpgroup, size_t index, const std::vector<uint32_t>& sums) {
  for_each_sum(warpgroup, index, [&](uint32_t& held, size_t at) { held = sums[at]; });
}

// to[columns] += a row of left times right, in f32, whose sums of int8 products are exact.
inline void add_row(float* __restrict to, int columns, size_t summed, const float* left,
                    const float* right) {
  for (size_t k = 0; k < summed; ++k) {
    const float factor = left[k];
    const float* __restrict from = right + k * static_cast<size_t>(columns);
    for (int piece = 0; piece < columns; piece += 8) {
      for (int i = 0; i < 8; ++i) to[piece + i] += factor * from[piece + i];
    }
  }
}

// What the tensor cores of sm_90 do with 8-bit floats, as DeepSeek-V3 (arXiv 2412.19437, section
// 3.5.2) and SageAttention2 report it: each addend, the sum so far among them, is cut off 13 bits
// below the largest one's first.
inline void add_row_cut(float* __restrict to, int columns, size_t summed, const float* left,
                        const float* right) {
  constexpr uint32_t kExponent = 0x7f800000, kOne = 127U << 23, kBits = 13U << 23;
  for (int piece = 0; piece < columns; piece += 8) {
    uint32_t largest[8];
    float unit[8], per_unit[8];
    int32_t sum[8];
    for (int i = 0; i < 8; ++i)
      largest[i] = __builtin_bit_cast(uint32_t, to[piece + i]) & kExponent;
    for (size_t k = 0; k < summed; ++k) {
      const float* from = right + k * static_cast<size_t>(columns) + piece;
      for (int i = 0; i < 8; ++i)
        largest[i] =
            std::max(largest[i], __builtin_bit_cast(uint32_t, left[k] * from[i]) & kExponent);
    }
    for (int i = 0; i < 8; ++i) {
      if (largest[i] < kBits) largest[i] = kBits;
      unit[i] = __builtin_bit_cast(float, largest[i] - kBits);
      per_unit[i] = __builtin_bit_cast(float, 2 * kOne + kBits - largest[i]);
      sum[i] = static_cast<int32_t>(to[piece + i] * per_unit[i]);
    }
    for (size_t k = 0; k < summed; ++k) {
      const float* from = right + k * static_cast<size_t>(columns) + piece;
      for (int i = 0; i < 8; ++i) sum[i] += static_cast<int32_t>(left[k] * from[i] * per_unit[i]);
    }
    for (int i = 0; i < 8; ++i) to[piece + i] = static_cast<float>(sum[i]) * unit[i];
  }
}

// left [kRows, summed], right [summed, columns].
inline void HopperBlock::add_product(std::vector<uint32_t>& sums, const Product& product,
                                     const std::vector<float>& left,
                                     const std::vector<float>& right) {
  const auto columns = static_cast<size_t>(product.pieces) * 8, bytes = columns * 4;
  std::vector<float> row(columns);
  for (size_t r = 0; r < kRows; ++r) {
    const float* factors = left.data() + r * product.summed();
    uint32_t* to = sums.data() + r * columns;
    if (product.operands == Operands::Int8) {
      std::fill(row.begin(), row.end(), 0.0F);
      add_row(row.data(), static_cast<int>(columns), product.summed(), factors, right.data());
      for (size_t i = 0; i < columns; ++i)
        to[i] += static_cast<uint32_t>(static_cast<int32_t>(row[i]));
      continue;
    }
    const auto add = product.operands == Operands::E4m3 ? add_row_cut : add_row;
    std::memcpy(row.data(), to, bytes);
    add(row.data(), static_cast<int>(columns), product.summed(), factors, right.data());
    std::memcpy(to, row.data(), bytes);
  }
}

// Sums that no product under way adds to any more are the program's again.
inline void HopperThread::end_group() {
  groups_.pop_front();
  for (auto held = under_way_.begin(); held != under_way_.end();) {
    uint32_t* sums = held->first;
    const auto is_of = [sums](const Product& product) { return product.sums == sums; };
    const bool busy = std::any_of(groups_.begin(), groups_.end(), [&](const auto& group) {
      return std::any_of(group.begin(), group.end(), is_of);
    });
    if (busy) {
      ++held;
      continue;
    }
    const size_t count = held->second.size();
    if (std::count(sums, sums + count, HopperBlock::kUnderWay) !=
        static_cast<std::ptrdiff_t>(count))
      HopperBlock::fail("sums were written while a product added to them");
    std::copy(held->second.begin(), held->second.end(), sums);
    remember(sums, count * sizeof(uint32_t));
    held = under_way_.erase(held);
  }
}

}  // namespace sora::kernels::cuda::hopper
