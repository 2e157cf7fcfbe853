// Convolution of frames against its equation, summed in double precision.
#include "kernels/convolution.h"

#include <gtest/gtest.h>

#include <limits>

#include "kernels/cpu/processor.h"
#include "tests/kernels/cases.h"

namespace sora::kernels {
namespace {

class ConvolutionCases : public testing::TestWithParam<ConvolutionCase> {
 protected:
  void SetUp() override {
    at::manual_seed(13);
    const ConvolutionCase& shape = GetParam();
    summed_ = shape.in * shape.taps * shape.rows * shape.columns;
    x_ = at::randn({shape.frames, shape.height, shape.width, shape.in}).to(at::kBFloat16);
    weight_ = (at::randn({shape.out, shape.in, shape.taps, shape.rows, shape.columns}) /
               std::sqrt(static_cast<double>(summed_)))
                  .to(at::kBFloat16);
    bias_ = at::randn({shape.out}).to(at::kBFloat16);
    padding_ = {(shape.rows - 1) / 2, (shape.columns - 1) / 2};
  }

  // Of the last taps, for as many frames.
  at::Tensor equation(int64_t frames) const {
    const ConvolutionCase& shape = GetParam();
    const int64_t taps = shape.frames - frames + 1;
    const at::Tensor clip = x_.to(at::kDouble).permute({3, 0, 1, 2}).unsqueeze(0);
    const at::Tensor padded =
        at::constant_pad_nd(clip, {padding_.left, shape.columns - 1 - padding_.left, padding_.top,
                                   shape.rows - 1 - padding_.top, 0, 0});
    return at::conv3d(padded, weight_.to(at::kDouble).narrow(2, shape.taps - taps, taps),
                      bias_.to(at::kDouble))
        .squeeze(0)
        .permute({1, 2, 3, 0});
  }
  at::Tensor empty(int64_t frames) const {
    const ConvolutionCase& shape = GetParam();
    return at::empty({frames, shape.height, shape.width, shape.out}, at::kBFloat16);
  }
  int64_t all_taps_frames() const { return GetParam().frames - GetParam().taps + 1; }
  double allowed(const at::Tensor& wanted) const {
    return tolerance(at::kBFloat16, summed_, largest(wanted));
  }
  // Packs, or says why not.
  void pack_or_skip() {
    if (!cpu::has(cpu::Processor::Amx)) GTEST_SKIP() << "packed weights are for AMX";
    packed_ = pack_convolution(weight_, bias_);
    ASSERT_TRUE(packed_.defined());
  }

  at::Tensor x_, weight_, bias_;
  Padding padding_;
  int64_t summed_ = 0;
  PackedConvolution packed_;
};

TEST_P(ConvolutionCases, ReferenceIsItsEquation) {
  const at::Tensor y = empty(all_taps_frames()), wanted = equation(all_taps_frames());
  reference::convolve_out(x_, weight_, bias_, padding_, {}, y);
  EXPECT_LE(largest_difference(y, wanted), allowed(wanted));
  const at::Tensor other = at::randn(y.sizes()).to(at::kBFloat16);
  reference::convolve_out(x_, weight_, bias_, padding_, other, y);
  EXPECT_LE(largest_difference(y, wanted + other.to(at::kDouble)), allowed(wanted + other));
}

TEST_P(ConvolutionCases, PackedIsItsEquationWithEveryNumberOfTaps) {
  pack_or_skip();
  if (IsSkipped()) return;
  for (int64_t taps = 1; taps <= GetParam().taps; ++taps) {
    const int64_t frames = GetParam().frames - taps + 1;
    const at::Tensor y = empty(frames), wanted = equation(frames);
    convolve_out(x_, packed_, padding_, {}, y);
    EXPECT_LE(largest_difference(y, wanted), allowed(wanted)) << taps << " taps";
  }
}

TEST_P(ConvolutionCases, PackedAddsAnotherOperandAlsoInPlace) {
  pack_or_skip();
  if (IsSkipped()) return;
  const at::Tensor y = empty(all_taps_frames());
  const at::Tensor other = at::randn(y.sizes()).to(at::kBFloat16), kept = other.clone();
  const at::Tensor wanted = equation(all_taps_frames()) + other.to(at::kDouble);
  convolve_out(x_, packed_, padding_, other, y);
  EXPECT_LE(largest_difference(y, wanted), allowed(wanted));
  EXPECT_TRUE(at::equal(other, kept));
  convolve_out(x_, packed_, padding_, other, other);
  EXPECT_TRUE(at::equal(other, y));
}

TEST_P(ConvolutionCases, PackedWritesEverySecondPixelAndNoOther) {
  pack_or_skip();
  if (IsSkipped()) return;
  const at::Tensor y = empty(all_taps_frames());
  convolve_out(x_, packed_, padding_, {}, y);
  const at::Tensor enlarged =
      at::full({y.size(0), y.size(1), 2, y.size(2), 2, y.size(3)}, 7.0, at::kBFloat16);
  convolve_out(x_, packed_, padding_, {}, enlarged.select(2, 1).select(3, 0));
  EXPECT_TRUE(at::equal(enlarged.select(2, 1).select(3, 0), y));
  EXPECT_TRUE(enlarged.select(2, 0).eq(7).all().item<bool>());
  EXPECT_TRUE(enlarged.select(2, 1).select(3, 1).eq(7).all().item<bool>());
}

TEST_P(ConvolutionCases, PackedGivesTheSameBitsAtAnyNumberOfThreads) {
  pack_or_skip();
  if (IsSkipped()) return;
  const int threads = at::get_num_threads();
  const at::Tensor wanted = empty(all_taps_frames()), y = empty(all_taps_frames());
  at::set_num_threads(1);
  convolve_out(x_, packed_, padding_, {}, wanted);
  for (const int count : {2, 3, 8}) {
    at::set_num_threads(count);
    convolve_out(x_, packed_, padding_, {}, y);
    EXPECT_TRUE(at::equal(y, wanted)) << count << " threads";
  }
  at::set_num_threads(threads);
}

INSTANTIATE_TEST_SUITE_P(Shapes, ConvolutionCases, testing::ValuesIn(convolution_cases()),
                         [](const testing::TestParamInfo<ConvolutionCase>& info) {
                           const ConvolutionCase& shape = info.param;
                           std::string name;
                           for (const int64_t number :
                                {shape.frames, shape.height, shape.width, shape.in, shape.out,
                                 shape.taps, shape.rows, shape.columns}) {
                             name += (name.empty() ? "" : "x") + std::to_string(number);
                           }
                           return name;
                         });

class ConvolutionTest : public testing::Test {
 protected:
  void SetUp() override {
    if (!cpu::has(cpu::Processor::Amx)) GTEST_SKIP() << "packed weights are for AMX";
    packed_ = pack_convolution(at::ones({4, 8, 3, 3, 3}, at::kBFloat16), at::zeros({4}));
  }
  PackedConvolution packed_;
};

TEST_F(ConvolutionTest, InfinityReachesTheNeighboursOfItsPixelAlone) {
  const at::Tensor x = at::ones({3, 9, 20, 8}, at::kBFloat16);
  x[1][4][17][5] = std::numeric_limits<float>::infinity();
  const at::Tensor y = at::empty({1, 9, 20, 4}, at::kBFloat16);
  convolve_out(x, packed_, {1, 1}, {}, y);
  const at::Tensor near = y.narrow(1, 3, 3).narrow(2, 16, 3);
  EXPECT_TRUE(near.isinf().all().item<bool>());
  EXPECT_EQ(y.isfinite().sum().item<int64_t>(), y.numel() - near.numel());
}

TEST_F(ConvolutionTest, RefusesWhatDoesNotFit) {
  const at::Tensor y = at::empty({1, 5, 6, 4}, at::kBFloat16);
  const auto x = [](at::IntArrayRef shape) { return at::zeros(shape, at::kBFloat16); };
  EXPECT_NO_THROW(convolve_out(x({3, 5, 6, 8}), packed_, {1, 1}, {}, y));
  EXPECT_ANY_THROW(convolve_out(x({3, 5, 6, 7}), packed_, {1, 1}, {}, y));
  EXPECT_ANY_THROW(convolve_out(x({4, 5, 6, 8}), packed_, {1, 1}, {}, y));
  EXPECT_ANY_THROW(convolve_out(x({3, 5, 6, 8}).to(at::kFloat), packed_, {1, 1}, {}, y));
  EXPECT_ANY_THROW(convolve_out(x({3, 5, 6, 8}), packed_, {1, 1}, x({1, 5, 5, 4}), y));
  EXPECT_ANY_THROW(convolve_out(x({3, 5, 6, 8}), {}, {1, 1}, {}, y));
}

}  // namespace
}  // namespace sora::kernels
