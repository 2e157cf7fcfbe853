// That the emulation tells apart what hardware would punish, one fault at a time: a kernel of one
// product, right but for the fault.
#include "tests/kernels/cuda/emulated_hopper.h"

#include <gtest/gtest.h>

#include "kernels/cuda/hopper/matrix_descriptor.h"

namespace sora::kernels::cuda::hopper {
namespace {

constexpr int kRows = 128, kColumns = 128;
constexpr uint32_t kBoxBytes = kRows * kBoxRowBytes, kFull = 2 * kBoxBytes,
                   kSharedBytes = kFull + 8;

enum class Fault {
  None,
  TooFewBytes,
  TooManyBytes,
  NoWaitForBox,
  TwoArrivals,
  OverwritesOperand,
  NoFence,
  ReadsTooEarly,
  WritesTooEarly,
  NoWaitForProduct,
  WaitsForNobody,
};

// sums = A A^T of a box of 64 columns, by one warpgroup; returns what thread 0 holds first.
float run_with(Fault fault) {
  const std::vector<uint16_t> ones(kRows * 64, c10::BFloat16(1.0F).x);
  const TileSource source = {ones.data(), 2, kRows, {64, kRows, 1, 1}, {128, 128, 128}};
  HopperBlock block(128, kSharedBytes, 0, 1);
  float seen = 0.0F;
  block.run([&](HopperThread& thread) {
    if (thread.thread() == 0) {
      thread.make_barrier(kFull, 1);
      const uint32_t wrong = fault == Fault::TooFewBytes ? 16 : 0;
      const uint32_t more = fault == Fault::TooManyBytes ? 16 : 0;
      thread.expect(kFull, kBoxBytes - wrong + more);
      thread.copy_box(source, 0, kFull, 0, 0, 0, 0);
      if (fault == Fault::TwoArrivals) thread.arrive(kFull);
    }
    thread.barrier();
    if (fault != Fault::NoWaitForBox) thread.wait_for_phase(kFull, 0);
    if (fault == Fault::WaitsForNobody) thread.wait_for_phase(kFull, 1);
    float sums[kColumns / 8][4] = {};
    if (fault != Fault::NoFence) thread.fence(sums);
    for (uint32_t step = 0; step < 4; ++step) {
      const uint64_t operand = rows_descriptor(thread.address(step * 32));
      thread.multiply<true>(sums, operand, operand);
    }
    thread.commit_products();
    if (thread.thread() == 0 && fault == Fault::OverwritesOperand) {
      thread.expect(kFull, kBoxBytes);
      thread.copy_box(source, 0, kFull, 0, 0, 0, 0);
    }
    if (fault == Fault::ReadsTooEarly && thread.thread() == 0) seen = sums[0][0];
    if (fault == Fault::WritesTooEarly) sums[0][0] = 1.0F;
    if (fault != Fault::NoWaitForProduct) thread.wait_for_products<0>(sums);
    if (fault != Fault::ReadsTooEarly && thread.thread() == 0) seen = sums[0][0];
  });
  return seen;
}

std::string error_of(Fault fault) {
  try {
    run_with(fault);
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "";
}

TEST(EmulatedHopper, MultipliesWhatABoxBrought) { EXPECT_EQ(run_with(Fault::None), 64.0F); }

TEST(EmulatedHopper, CountsTheBytesOfBoxes) {
  EXPECT_EQ(error_of(Fault::TooFewBytes), "more bytes arrive than were expected");
  EXPECT_EQ(error_of(Fault::TooManyBytes), "deadlock: every thread waits for what never comes");
}

TEST(EmulatedHopper, CountsArrivals) {
  EXPECT_EQ(error_of(Fault::TwoArrivals), "more arrivals at a barrier than its phase has");
  EXPECT_EQ(error_of(Fault::WaitsForNobody), "deadlock: every thread waits for what never comes");
}

TEST(EmulatedHopper, SeesMemoryThatIsReadOrWrittenTooEarly) {
  EXPECT_EQ(error_of(Fault::NoWaitForBox), "a product reads what a box is still to fill");
  EXPECT_EQ(error_of(Fault::OverwritesOperand), "a box overwrites what a product under way reads");
}

TEST(EmulatedHopper, SeesRegistersThatAreTouchedTooEarly) {
  EXPECT_EQ(error_of(Fault::NoFence), "sums were written after the last fence");
  EXPECT_TRUE(std::isnan(run_with(Fault::ReadsTooEarly)));
  EXPECT_EQ(error_of(Fault::WritesTooEarly), "sums were written while a product added to them");
  EXPECT_EQ(error_of(Fault::NoWaitForProduct), "a thread ends before its products");
}

// The sums of thread 0 after one product of a box of rows of 32 bytes, all of them alike, with a
// left operand of one word, and what the sums were before.
template <class Sums, class Multiply>
void multiply_alike(uint8_t byte, Sums& seen, Multiply multiply) {
  const std::vector<uint8_t> bytes(kRows * kBoxRowBytes, byte);
  const TileSource source = {bytes.data(), 1, kRows, {128, kRows, 1, 1}, {128, 128, 128}};
  HopperBlock block(128, kSharedBytes, 0, 1);
  block.run([&](HopperThread& thread) {
    if (thread.thread() == 0) {
      thread.make_barrier(kFull, 1);
      thread.expect(kFull, kBoxBytes);
      thread.copy_box(source, 0, kFull, 0, 0, 0, 0);
    }
    thread.barrier();
    thread.wait_for_phase(kFull, 0);
    Sums sums;
    std::memcpy(&sums, &seen, sizeof sums);
    multiply(thread, sums, rows_descriptor(thread.address(0)));
    thread.barrier();
    if (thread.thread() == 0) std::memcpy(&seen, &sums, sizeof sums);
  });
}

TEST(EmulatedHopper, AddsExactProductsOfInt8ToWords) {
  uint32_t sums[1][4] = {{0x4b400000, 0, 5, 0xffffffff}};
  multiply_alike(0x81, sums, [](HopperThread& thread, auto& sums, uint64_t rows) {  // -127
    thread.fence(sums);
    thread.multiply_add_int8(sums, rows, rows);
    thread.commit_products();
    thread.wait_for_products<0>(sums);
  });
  constexpr uint32_t kSum = 32 * 127 * 127;
  EXPECT_EQ(sums[0][0], 0x4b400000 + kSum);
  EXPECT_EQ(sums[0][1], kSum);
  EXPECT_EQ(sums[0][2], 5 + kSum);
  EXPECT_EQ(sums[0][3], kSum - 1);
}

// What is 13 bits below the largest addend is lost, which is why sums of e4m3 are kept short.
TEST(EmulatedHopper, CutsAddendsOfE4m3) {
  float sums[1][4] = {{0.0F, 4096.0F, 16384.0F, -16384.0F}};
  multiply_alike(0x38, sums, [](HopperThread& thread, auto& sums, uint64_t rows) {  // 1
    const uint32_t left[1][4] = {{0x38383838, 0x38383838, 0x38383838, 0x38383838}};
    thread.fence(sums, left);
    thread.multiply_e4m3<true>(sums, left[0], rows);
    thread.commit_products();
    thread.wait_for_products<0>(sums);
  });
  EXPECT_EQ(sums[0][0], 32.0F);
  EXPECT_EQ(sums[0][1], 4096.0F + 32.0F);
  EXPECT_EQ(sums[0][2], 16384.0F);
  EXPECT_EQ(sums[0][3], -16384.0F);
}

TEST(EmulatedHopper, PacksE4m3) {
  HopperBlock block(128, 16, 0, 1);
  HopperThread thread(block, 0);
  EXPECT_EQ(thread.pack_e4m3(1.0F, -1.0F, 1e9F, 0.0F), 0x007eb838U);
}

}  // namespace
}  // namespace sora::kernels::cuda::hopper
