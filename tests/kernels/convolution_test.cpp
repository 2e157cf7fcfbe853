// Convolution of frames against its equation, summed in double precision.
#include "kernels/convolution.h"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

#include "kernels/cpu/processor.h"
#include "tests/kernels/cases.h"

namespace sora::kernels {
namespace {

constexpr const char* kNoForm = "packed weights are for AVX2, AVX-512 and AMX";

std::vector<PackedConvolution> in_every_form(const at::Tensor& weight, const at::Tensor& bias) {
  std::vector<PackedConvolution> forms;
  for (const cpu::Processor processor :
       {cpu::Processor::Avx2, cpu::Processor::Avx512, cpu::Processor::Amx}) {
    if (cpu::has(processor)) forms.push_back(pack_convolution(weight, bias, processor));
  }
  return forms;
}

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
  // In every form that this machine has, or says why not.
  void pack_or_skip() {
    forms_ = in_every_form(weight_, bias_);
    if (forms_.empty()) GTEST_SKIP() << kNoForm;
  }

  at::Tensor x_, weight_, bias_;
  Padding padding_;
  int64_t summed_ = 0;
  std::vector<PackedConvolution> forms_;
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
    for (const PackedConvolution& packed : forms_) {
      convolve_out(x_, packed, padding_, {}, y.fill_(7.0));
      EXPECT_LE(largest_difference(y, wanted), allowed(wanted))
          << taps << " taps, " << name_of(packed.processor);
    }
  }
}

TEST_P(ConvolutionCases, PackedAddsAnotherOperandAlsoInPlace) {
  pack_or_skip();
  if (IsSkipped()) return;
  const at::Tensor y = empty(all_taps_frames());
  const at::Tensor other = at::randn(y.sizes()).to(at::kBFloat16);
  const at::Tensor wanted = equation(all_taps_frames()) + other.to(at::kDouble);
  for (const PackedConvolution& packed : forms_) {
    SCOPED_TRACE(name_of(packed.processor));
    const at::Tensor in_place = other.clone();
    convolve_out(x_, packed, padding_, in_place, y.fill_(7.0));
    EXPECT_LE(largest_difference(y, wanted), allowed(wanted));
    EXPECT_TRUE(at::equal(in_place, other));
    convolve_out(x_, packed, padding_, in_place, in_place);
    EXPECT_TRUE(at::equal(in_place, y));
  }
}

TEST_P(ConvolutionCases, PackedWritesEverySecondPixelAndNoOther) {
  pack_or_skip();
  if (IsSkipped()) return;
  const at::Tensor y = empty(all_taps_frames());
  for (const PackedConvolution& packed : forms_) {
    SCOPED_TRACE(name_of(packed.processor));
    convolve_out(x_, packed, padding_, {}, y);
    const at::Tensor enlarged =
        at::full({y.size(0), y.size(1), 2, y.size(2), 2, y.size(3)}, 7.0, at::kBFloat16);
    convolve_out(x_, packed, padding_, {}, enlarged.select(2, 1).select(3, 0));
    EXPECT_TRUE(at::equal(enlarged.select(2, 1).select(3, 0), y));
    EXPECT_TRUE(enlarged.select(2, 0).eq(7).all().item<bool>());
    EXPECT_TRUE(enlarged.select(2, 1).select(3, 1).eq(7).all().item<bool>());
  }
}

TEST_P(ConvolutionCases, PackedGivesTheSameBitsAtAnyNumberOfThreads) {
  pack_or_skip();
  if (IsSkipped()) return;
  const int threads = at::get_num_threads();
  const at::Tensor wanted = empty(all_taps_frames()), y = empty(all_taps_frames());
  for (const PackedConvolution& packed : forms_) {
    at::set_num_threads(1);
    convolve_out(x_, packed, padding_, {}, wanted);
    for (const int count : {2, 3, 8}) {
      at::set_num_threads(count);
      convolve_out(x_, packed, padding_, {}, y.fill_(7.0));
      EXPECT_TRUE(at::equal(y, wanted)) << count << " threads, " << name_of(packed.processor);
    }
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
    forms_ = in_every_form(weight_, at::zeros({4}));
    if (forms_.empty()) GTEST_SKIP() << kNoForm;
  }
  const at::Tensor weight_ = at::ones({4, 8, 3, 3, 3}, at::kBFloat16);
  std::vector<PackedConvolution> forms_;
};

TEST_F(ConvolutionTest, PacksForTheFastestFormOfThisProcessor) {
  const cpu::Processor fastest = cpu::bf16_processor();
  const PackedConvolution packed = pack_convolution(weight_, at::zeros({4}));
  EXPECT_EQ(packed.defined(),
            cpu::has(cpu::Processor::Avx2) && fastest != cpu::Processor::Avx512Bf16);
  EXPECT_EQ(packed.processor, fastest);
  EXPECT_FALSE(pack_convolution(weight_.to(at::kFloat), at::zeros({4})).defined());
}

// A clip that is cut into blocks of several sizes holds the same frames at other places.
TEST_F(ConvolutionTest, APixelHasTheSameBitsWhereverItLies) {
  at::manual_seed(13);
  const at::Tensor x = at::randn({6, 21, 75, 8}).to(at::kBFloat16);
  const at::Tensor y = at::empty({4, 21, 75, 4}, at::kBFloat16),
                   part = at::empty({1, 7, 13, 4}, at::kBFloat16);
  for (const PackedConvolution& packed : forms_) {
    convolve_out(x, packed, {1, 1}, {}, y);
    const at::Tensor seen = x.narrow(0, 2, 3).narrow(1, 10, 9).narrow(2, 50, 15).contiguous();
    convolve_out(seen, packed, {0, 0}, {}, part);
    EXPECT_TRUE(at::equal(part, y.narrow(0, 2, 1).narrow(1, 11, 7).narrow(2, 51, 13)))
        << name_of(packed.processor);
  }
}

TEST_F(ConvolutionTest, InfinityReachesTheNeighboursOfItsPixelAlone) {
  const at::Tensor x = at::ones({3, 9, 20, 8}, at::kBFloat16);
  x[1][4][17][5] = std::numeric_limits<float>::infinity();
  const at::Tensor y = at::empty({1, 9, 20, 4}, at::kBFloat16);
  for (const PackedConvolution& packed : forms_) {
    SCOPED_TRACE(name_of(packed.processor));
    convolve_out(x, packed, {1, 1}, {}, y);
    const at::Tensor near = y.narrow(1, 3, 3).narrow(2, 16, 3);
    EXPECT_TRUE(near.isinf().all().item<bool>());
    EXPECT_EQ(y.isfinite().sum().item<int64_t>(), y.numel() - near.numel());
  }
}

TEST_F(ConvolutionTest, RefusesWhatDoesNotFit) {
  const at::Tensor y = at::empty({1, 5, 6, 4}, at::kBFloat16);
  const auto x = [](at::IntArrayRef shape) { return at::zeros(shape, at::kBFloat16); };
  EXPECT_NO_THROW(convolve_out(x({3, 5, 6, 8}), forms_.front(), {1, 1}, {}, y));
  EXPECT_ANY_THROW(convolve_out(x({3, 5, 6, 7}), forms_.front(), {1, 1}, {}, y));
  EXPECT_ANY_THROW(convolve_out(x({4, 5, 6, 8}), forms_.front(), {1, 1}, {}, y));
  EXPECT_ANY_THROW(convolve_out(x({3, 5, 6, 8}).to(at::kFloat), forms_.front(), {1, 1}, {}, y));
  EXPECT_ANY_THROW(convolve_out(x({3, 5, 6, 8}), forms_.front(), {1, 1}, x({1, 5, 5, 4}), y));
  EXPECT_ANY_THROW(convolve_out(x({3, 5, 6, 8}), {}, {1, 1}, {}, y));
}

}  // namespace
}  // namespace sora::kernels
