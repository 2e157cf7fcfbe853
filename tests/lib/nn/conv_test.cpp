// The streamed convolutions against ATen's own on the whole clip, padded and enlarged the long way.
#include "lib/nn/conv.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <string>

#include "lib/tensor_io/checkpoint.h"
#include "lib/tensor_io/safetensors.h"
#include "tests/scratch_directory.h"

namespace sora {
namespace {

// A convolution's weights, as a checkpoint holds them.
class ConvTest : public ::testing::Test {
 protected:
  Weights weights(at::IntArrayRef shape, at::ScalarType dtype = at::kFloat) {
    weight_ = at::randn(shape) / std::sqrt(static_cast<double>(shape[1]) * 9);
    bias_ = at::randn({shape[0]});
    const auto path = scratch_.path() / ("conv" + std::to_string(count_++) + ".safetensors");
    write_safetensors(path, {{"weight", weight_}, {"bias", bias_}});
    return Weights(std::make_shared<Checkpoint>(Checkpoint::open(path)), dtype);
  }

  // [T,H,W,C] <-> [1,C,T,H,W]
  static at::Tensor clip(const at::Tensor& frames) {
    return frames.permute({3, 0, 1, 2}).unsqueeze(0).contiguous();
  }
  static at::Tensor frames(const at::Tensor& clip) {
    return clip.squeeze(0).permute({1, 2, 3, 0}).contiguous();
  }

  static void expect_close(const at::Tensor& found, const at::Tensor& wanted,
                           double tolerance = 2e-5) {
    ASSERT_EQ(found.sizes(), wanted.sizes());
    EXPECT_LT((found.to(at::kFloat) - wanted).abs().max().item<double>(), tolerance);
  }

  const c10::InferenceMode inference_;
  ScratchDirectory scratch_;
  int count_ = 0;
  at::Tensor weight_, bias_;
};

TEST_F(ConvTest, CausalConvolutionInChunksIsThatOfTheWholeClip) {
  const CausalConv3d conv(weights({7, 5, 3, 3, 3}), 5, 7);
  const at::Tensor video = at::randn({12, 6, 9, 5});
  const at::Tensor padded = at::constant_pad_nd(clip(video), {1, 1, 1, 1, 2, 0});
  const at::Tensor wanted = frames(at::conv3d(padded, weight_, bias_));
  for (const std::vector<int64_t>& chunks :
       std::vector<std::vector<int64_t>>{{12}, {1, 4, 4, 3}, {1, 1, 1, 1, 8}, {4, 1, 7}, {2, 10}}) {
    CausalCache cache;
    std::vector<at::Tensor> found;
    int64_t first = 0;
    for (const int64_t count : chunks) {
      cache.begin_chunk();
      found.push_back(conv(video.narrow(0, first, count), cache));
      first += count;
    }
    expect_close(at::cat(found), wanted);
  }
}

TEST_F(ConvTest, SumsAreThoseOfSeparateSteps) {
  const CausalConv3d conv(weights({8, 8, 3, 3, 3}), 8, 8);
  const at::Tensor window = at::randn({5, 6, 4, 8}), other = at::randn({3, 6, 4, 8});
  const at::Tensor wanted = conv(window) + other;
  const at::Tensor kept = other.clone();
  expect_close(conv.plus(other, window), wanted);
  EXPECT_TRUE(at::equal(other, kept));
  const at::Tensor sum = other.clone();
  const at::Tensor found = conv.add_to(sum, window);
  expect_close(found, wanted);
  EXPECT_EQ(found.data_ptr(), sum.data_ptr());
}

TEST_F(ConvTest, TemporalConvolutionOfStrideTwoSeesTheFrameBeforeEachPair) {
  const CausalConv3d conv(weights({4, 4, 3, 1, 1}), 4, 4, {3, 1, 1}, /*temporal_stride=*/2);
  const at::Tensor video = at::randn({9, 3, 5, 4});
  const at::Tensor wanted = frames(at::conv3d(clip(video), weight_, bias_, {2, 1, 1}));
  CausalCache cache;
  std::vector<at::Tensor> found;
  for (const auto& [first, count] : {std::pair(0, 1), std::pair(1, 4), std::pair(5, 4)}) {
    cache.begin_chunk();
    CausalWindow window(cache, video.narrow(0, first, count).sizes(), video.options(),
                        /*num_remembered=*/1);
    window.new_frames().copy_(video.narrow(0, first, count));
    const at::Tensor seen = window.close();
    if (!cache.first_chunk()) found.push_back(conv(seen));
  }
  expect_close(at::cat(found), wanted);
}

TEST_F(ConvTest, CacheHoldsTwoFramesAConvolution) {
  const CausalConv3d conv(weights({3, 5, 3, 3, 3}), 5, 3);
  CausalCache cache;
  for (const int64_t count : {1, 4, 4, 4, 4}) {
    cache.begin_chunk();
    conv(at::randn({count, 6, 4, 5}), cache);
    EXPECT_LE(cache.num_bytes(), 2 * 6 * 4 * 5 * 4);
  }
}

TEST_F(ConvTest, UpsamplingIsTheConvolutionOfTheEnlargedFrame) {
  for (const auto& [channels, height, width] :
       {std::tuple(5, 3, 7), std::tuple(16, 1, 1), std::tuple(32, 8, 9)}) {
    const UpsampleConv conv(weights({6, channels, 3, 3}), channels, 6);
    const at::Tensor video = at::randn({3, height, width, channels});
    const at::Tensor enlarged =
        video.repeat_interleave(2, 1).repeat_interleave(2, 2).permute({0, 3, 1, 2}).contiguous();
    const at::Tensor wanted = at::conv2d(enlarged, weight_, bias_, 1, 1).permute({0, 2, 3, 1});
    expect_close(conv(video), wanted);
  }
}

TEST_F(ConvTest, DownsamplingPadsRightAndBelowAlone) {
  const DownsampleConv conv(weights({6, 5, 3, 3}), 5, 6);
  const at::Tensor video = at::randn({2, 8, 6, 5});
  const at::Tensor padded = at::constant_pad_nd(video.permute({0, 3, 1, 2}), {0, 1, 0, 1});
  const at::Tensor wanted = at::conv2d(padded, weight_, bias_, 2).permute({0, 2, 3, 1});
  expect_close(conv(video), wanted);
}

TEST_F(ConvTest, PointwiseConvolutionMapsChannels) {
  const PointwiseConv conv(weights({6, 5, 1, 1, 1}), 5, 6, 5);
  const at::Tensor video = at::randn({2, 3, 4, 5});
  expect_close(conv(video), frames(at::conv3d(clip(video), weight_, bias_)));
}

TEST_F(ConvTest, GivesTheSameBitsAtAnyNumberOfThreads) {
  const int threads = at::get_num_threads();
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    for (const auto& [channels, height, width] :
         {std::array<int64_t, 3>{6, 3, 5}, {32, 9, 15}, {64, 6, 10}, {96, 12, 20}, {384, 9, 15}}) {
      const CausalConv3d conv(weights({channels, channels, 3, 3, 3}, dtype), channels, channels);
      const UpsampleConv up(weights({channels, channels, 3, 3}, dtype), channels, channels);
      const DownsampleConv down(weights({channels, channels, 3, 3}, dtype), channels, channels);
      for (const int64_t frames : {1, 3}) {
        const at::Tensor window = at::randn({frames, height, width, channels}).to(dtype);
        std::vector<at::Tensor> wanted;
        for (const int count : {1, 2, 3, 8}) {
          at::set_num_threads(count);
          const std::vector<at::Tensor> found = {
              conv(window), conv.plus(window.narrow(0, 0, 1), window), up(window), down(window)};
          if (wanted.empty()) wanted = found;
          for (size_t i = 0; i < found.size(); ++i) {
            EXPECT_TRUE(at::equal(found[i], wanted[i]))
                << dtype << " " << channels << " x" << frames << " " << count << " threads " << i;
          }
        }
        at::set_num_threads(threads);
      }
    }
  }
}

}  // namespace
}  // namespace sora
