// Sizes, lengths and rates that Sora offered, on every model here: tests/data/pipelines and the
// built-in one.
#include "lib/pipelines/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>

#include "lib/models/registry.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> model_folders() {
  std::vector<fs::path> folders = {fs::path(SORA_TEST_DATA) / "../../models/nano"};
  for (const auto& entry : fs::directory_iterator(fs::path(SORA_TEST_DATA) / "pipelines")) {
    if (entry.is_directory()) folders.push_back(entry.path());
  }
  std::sort(folders.begin(), folders.end());
  return folders;
}

class PlanOf : public ::testing::TestWithParam<fs::path> {
 protected:
  Plan plan(const VideoSpec& video) const {
    Request request;
    request.operation = GenerateRequest{"a red ball"};
    request.video = video;
    request.runtime.device = "cpu";
    return make_plan(request, model_);
  }

  // Drawn where the model can: sides on its grid, an area it was made for, its own rate, windows
  // that reach the end.
  void expect_drawable(const Plan& plan) const {
    const LatentStrides strides = model_.strides();
    EXPECT_EQ(plan.canvas_size.width % strides.pixel_grid_width(), 0);
    EXPECT_EQ(plan.canvas_size.height % strides.pixel_grid_height(), 0);
    EXPECT_EQ(plan.canvas_fps, model_.defaults.fps);
    ASSERT_FALSE(plan.windows.empty());
    EXPECT_GT(plan.windows.back().draws.stop, canvas_frame_of(plan, plan.output_frames - 1));
    for (const Window& window : plan.windows) {
      EXPECT_EQ(window.frames.size() % strides.temporal, 1);
      EXPECT_LE(window.frames.size(), model_.defaults.max_frames);
    }
  }

  static int64_t count_notices(const Plan& plan, const char* words) {
    return std::count_if(plan.notices.begin(), plan.notices.end(), [&](const std::string& notice) {
      EXPECT_EQ(notice.find('\n'), std::string::npos) << notice;
      return notice.find(words) != std::string::npos;
    });
  }

  const ModelInfo model_ = read_model_info(GetParam().filename().string(), GetParam(), {});
};

TEST_P(PlanOf, EverySizeLengthAndRateIsMetAndWhatIsResampledIsToldInOneLine) {
  for (const char* resolution : {"480p", "720p", "1080p"}) {
    for (const char* aspect : {"16:9", "1:1", "9:16"}) {
      for (const int duration_s : {1, 5, 20}) {
        for (const int fps : {16, 24, 30, 60}) {
          SCOPED_TRACE(fmt::format("{} {} {} s {} fps", resolution, aspect, duration_s, fps));
          VideoSpec video;
          video.resolution = resolution;
          video.aspect = aspect;
          video.duration_s = duration_s;
          video.fps = Rational(fps);
          const Plan made = plan(video);
          EXPECT_EQ(made.output_size, size_for(resolution, aspect));
          EXPECT_EQ(made.output_frames, duration_s * fps);
          EXPECT_EQ(made.output_fps, Rational(fps));
          expect_drawable(made);
          const Size& canvas = made.canvas_size;
          const auto most = static_cast<double>(model_.defaults.max_pixels);
          // A side may be rounded up by less than a step of the grid, or to its nearest step.
          const double grid = static_cast<double>(model_.strides().pixel_grid_width() *
                                                  (canvas.width + canvas.height));
          EXPECT_LE(static_cast<double>(canvas.width * canvas.height),
                    most * kAreaTolerance + grid);
          EXPECT_EQ(count_notices(made, "resized") + count_notices(made, "cut to size"),
                    canvas == made.output_size ? 0 : 1);
          EXPECT_EQ(count_notices(made, "by interpolation"),
                    made.canvas_fps == Rational(fps) ? 0 : 1);
        }
      }
    }
  }
}

TEST_P(PlanOf, NativeDrawsTheSizeAskedForOnTheGridAndCropsItBack) {
  for (const Size size : {Size{854, 480}, Size{333, 217}, Size{1920, 1080}}) {
    VideoSpec video;
    video.size = size;
    video.native = true;
    const Plan made = plan(video);
    EXPECT_EQ(made.output_size, size);
    EXPECT_FALSE(made.scaled);
    expect_drawable(made);
    EXPECT_GE(made.canvas_size.width, size.width);
    EXPECT_LT(made.canvas_size.width - size.width, model_.strides().pixel_grid_width());
    EXPECT_GE(made.canvas_size.height, size.height);
    EXPECT_LT(made.canvas_size.height - size.height, model_.strides().pixel_grid_height());
    EXPECT_EQ(count_notices(made, to_string(made.canvas_size).c_str()),
              made.canvas_size == size ? 0 : 1);
  }
}

INSTANTIATE_TEST_SUITE_P(Models, PlanOf, ::testing::ValuesIn(model_folders()),
                         [](const auto& info) { return info.param.filename().string(); });

}  // namespace
}  // namespace sora
