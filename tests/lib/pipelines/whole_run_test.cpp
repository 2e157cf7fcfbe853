// Whole runs against diffusers' own, from prompt to frames: tests/data/pipelines, the same models
// with LoRA files in tests/data/lora_runs, and of the built-in model tests/data/nano, made by
// scripts/reference.
#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/media/image.h"
#include "lib/media/video_writer.h"
#include "lib/models/registry.h"
#include "lib/pipelines/clip_maker.h"
#include "lib/tensor_io/safetensors.h"
#include "tests/lib/pipelines/made_clip.h"
#include "tests/relative_error.h"
#include "tests/stand_in_device.h"

namespace sora {
namespace {

const std::filesystem::path kData = SORA_TEST_DATA;

// How far apart two runs may be: the project's promise to its users (docs/models.md).
constexpr double kLatentsRelativeError = 1e-3;
constexpr int kFrameError999 = 1;  // of 255, at the 99.9th percentile

struct Case {
  std::filesystem::path model;
  std::filesystem::path run;  // ".../t2v_unipc.guided", without the extension

  std::string name() const { return run.filename().string(); }
};

std::vector<Case> all_cases() {
  std::vector<Case> cases;
  for (const char* folder : {"lora_runs", "nano", "pipelines"}) {
    for (const auto& entry : std::filesystem::directory_iterator(kData / folder)) {
      if (entry.path().extension() != ".json") continue;
      const std::filesystem::path run = entry.path().parent_path() / entry.path().stem();
      const bool is_nano = std::string(folder) == "nano";
      const std::filesystem::path small = kData / "pipelines" / run.stem();
      cases.push_back({is_nano ? kData / "../../models/nano" : small, run});
    }
  }
  std::sort(cases.begin(), cases.end(), [](const Case& a, const Case& b) { return a.run < b.run; });
  return cases;
}

struct Made {
  at::Tensor latents;
  at::Tensor frames;
};

class WholeRun : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    reference_ = SafetensorsFile::open(GetParam().run.string() + ".safetensors");
    description_ = read_json_file(GetParam().run.string() + ".json");
    settings_ = description_["settings"];
    folder_ = std::filesystem::temp_directory_path() / ("sora_whole_run_" + GetParam().name());
    std::filesystem::create_directories(folder_);
    model_ = read_model_info(GetParam().name(), GetParam().model, files());
    model_.defaults.grey_without_frames = description_.value("grey_without_frames", false);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // The LoRAs of the run, by which --turbo finds its steps.
  ModelFiles files() const {
    ModelFiles files;
    files.turbo = is_turbo();
    for (const auto& lora : description_.value("loras", nlohmann::json::array())) {
      const std::string file = lora["file"];
      files.loras.push_back(
          {(kData / "lora_runs/files" / file).string(), lora["weight"], lora["expert"]});
    }
    return files;
  }

  bool is_turbo() const { return description_.value("turbo", false); }

  bool has(const std::string& name) const {
    return std::any_of(reference_->tensors().begin(), reference_->tensors().end(),
                       [&](const TensorInfo& info) { return info.name == name; });
  }

  static bool is_text_to_video() { return GetParam().name().starts_with("t2v"); }

  std::string image_path(const std::string& name) const {
    if (!has(name)) return "";
    const std::string path = (folder_ / (name + ".png")).string();
    write_png(path, reference_->get(name));
    return path;
  }

  // Lossless in RGB.
  std::string video_path(const std::string& name) const {
    const at::Tensor frames_FHWC = reference_->get(name);
    WriterOptions options;
    options.path = (folder_ / (name + ".apng")).string();
    options.force = true;
    options.width = frames_FHWC.size(2);
    options.height = frames_FHWC.size(1);
    options.fps = Rational(16);
    VideoWriter writer(options);
    writer.write(frames_FHWC);
    writer.finish();
    return options.path;
  }

  // The plan of a request, with the known frames that no option of the request can place.
  Plan plan_of(const Request& wish) const {
    Plan plan = make_plan(wish, model_);
    plan.device = test_device();
    if (!has("known")) return plan;
    const at::Tensor pictures = reference_->get("known"), frames = reference_->get("known_frames");
    for (int64_t index = 0; index < frames.size(0); ++index) {
      const std::string path = (folder_ / fmt::format("known-{}.png", index)).string();
      write_png(path, pictures[index]);
      plan.layout.pictures.push_back({frames[index].item<int64_t>(), path});
    }
    return plan;
  }

  Request request(const std::string& dtype) const {
    GenerateRequest generate;
    generate.prompt = settings_["prompt"];
    generate.image = image_path("image");
    generate.last_image = image_path("last_image");
    for (int index = 0; has(fmt::format("reference.{}", index)); ++index) {
      generate.references.push_back(image_path(fmt::format("reference.{}", index)));
    }
    if (has("control")) generate.control = video_path("control");
    if (description_.contains("conditioning_scale"))
      generate.control_scale = description_["conditioning_scale"].get<double>();
    Request request;
    request.operation = generate;
    request.video.size = Size{settings_["width"], settings_["height"]};
    request.video.num_frames = settings_["num_frames"].get<int64_t>();
    if (!is_turbo()) {  // which knows both
      request.sampling.steps = settings_["steps"].get<int>();
      request.sampling.guidance_scale = settings_["guidance_scale"].get<double>();
    }
    if (settings_.contains("guidance_scale_2") && !settings_["guidance_scale_2"].is_null()) {
      request.sampling.guidance_scale_2 = settings_["guidance_scale_2"].get<double>();
    }
    request.sampling.negative_prompt = settings_["negative_prompt"].is_null()
                                           ? ""
                                           : settings_["negative_prompt"].get<std::string>();
    request.sampling.seed = settings_["seed"].get<uint64_t>();
    request.runtime.dtype = dtype;
    return request;
  }

  Made make(const Request& wish) const {
    const Plan plan = plan_of(wish);
    Observer observer;
    ClipMaker maker(wish, model_, plan, observer);
    const MadeClip clip = make_clip(maker, plan.seed);
    return {clip.latents.back(), clip.frames};
  }

  // Of the run's latents from the reference's in f32.
  double latents_error(const std::string& dtype) const {
    return relative_error(make(request(dtype)).latents, reference_->get("latents"));
  }

  // The frames that the VAE made: known ones are the source's own and not compared.
  at::Tensor decoded_only(const at::Tensor& frames) const {
    at::Tensor is_decoded = at::ones({frames.size(0)}, at::kBool);
    if (has("image")) is_decoded[0] = false;
    if (has("last_image")) is_decoded[-1] = false;
    if (has("known")) is_decoded.index_fill_(0, reference_->get("known_frames"), 0);
    return frames.index_select(0, is_decoded.nonzero().flatten());
  }

  std::shared_ptr<const SafetensorsFile> reference_;
  nlohmann::json description_, settings_;
  std::filesystem::path folder_;
  ModelInfo model_;

 private:
  c10::InferenceMode inference_;
};

TEST_P(WholeRun, F32LatentsAndFramesAreDiffusersOwn) {
  const Made made = make(request("f32"));
  EXPECT_LE(relative_error(made.latents, reference_->get("latents")), kLatentsRelativeError);
  const at::Tensor wanted = reference_->get("frames");
  ASSERT_EQ(made.frames.sizes(), wanted.sizes());
  const at::Tensor error =
      (decoded_only(made.frames).to(at::kInt) - decoded_only(wanted).to(at::kInt)).abs().flatten();
  if (error.numel() > 0) {
    EXPECT_LE(at::quantile(error.to(at::kDouble), 0.999).item<double>(), kFrameError999);
  }
}

TEST_P(WholeRun, TheControlBranchIsToldWhatDiffusersTellsIt) {
  if (!has("control_hidden_states")) GTEST_SKIP() << "a model without a control branch";
  const Plan plan = plan_of(request("f32"));
  Observer observer;
  SourceEncoder encoder(model_, plan);
  const Conditioning told = make_conditioning(
      model_, plan, make_canvas(plan), encode_texts_of(model_, plan, observer), encoder, observer);
  const at::Tensor wanted = reference_->get("control_hidden_states");
  const at::Tensor found = told.control_1CFHW.cpu();
  ASSERT_EQ(found.sizes(), wanted.sizes());
  EXPECT_LE(relative_error(found, wanted), 1e-5);
  EXPECT_TRUE(at::equal(found.slice(1, 8), wanted.slice(1, 8))) << "the mask";
}

TEST_P(WholeRun, KnownFramesComeOutAsTheyWere) {
  if (!has("known")) GTEST_SKIP() << "no frames are known";
  const at::Tensor frames = make(request("f32")).frames;
  EXPECT_TRUE(
      at::equal(frames.index_select(0, reference_->get("known_frames")), reference_->get("known")));
}

TEST_P(WholeRun, Bf16LatentsLieWithinDiffusersOwnDistanceToF32) {
  if (!has("latents_bf16")) GTEST_SKIP() << "diffusers ran this one in f32 only";
  // Beyond the processor's own kernels, which keep more bits, roundings happen to add up or not.
  const double by_chance = test_device().is_cpu() ? 1.0 : 1.25;
  double ours = latents_error("bf16");
  double theirs = relative_error(reference_->get("latents_bf16"), reference_->get("latents"));
  const nlohmann::json seeds = description_.value("more_seeds", nlohmann::json::array());
  for (size_t i = 0; i < seeds.size(); ++i) {
    const int64_t run = static_cast<int64_t>(i);
    const at::Tensor in_f32 = reference_->get("more_latents").select(0, run);
    Request wish = request("bf16");
    wish.sampling.seed = seeds[i].get<uint64_t>();
    ours += relative_error(make(wish).latents, in_f32);
    theirs += relative_error(reference_->get("more_latents_bf16").select(0, run), in_f32);
  }
  EXPECT_LE(ours, by_chance * theirs) << "summed over " << seeds.size() + 1 << " runs";
}

TEST_P(WholeRun, Int8LatentsAreNearTheOnesInF32) {
  if (!is_text_to_video()) GTEST_SKIP() << "the text to video models are enough for it";
  if (!test_device().is_cpu()) GTEST_SKIP() << "8 bits are of processors";
  // Beyond bf16's own distance: a step of 8 bits is 1/254 of a row's largest number, about 1 % of
  // its size, in each product.
  EXPECT_LE(latents_error("int8"), latents_error("bf16") + 0.1);
}

TEST_P(WholeRun, OutsideOfItsIntervalGuidanceIsOff) {
  if (!is_text_to_video()) GTEST_SKIP() << "the text to video models are enough for it";
  Request outside = request("f32"), off = request("f32");
  outside.sampling.guidance_interval = GuidanceInterval{0, 0};
  off.sampling.guidance_scale = 1.0;
  off.sampling.guidance_scale_2.reset();  // that of both experts then
  EXPECT_TRUE(at::equal(make(outside).latents, make(off).latents));
}

TEST_P(WholeRun, SameRequestTwiceGivesTheSameBytes) {
  const Request wish = request("f32");
  EXPECT_TRUE(at::equal(make(wish).latents, make(wish).latents));
}

INSTANTIATE_TEST_SUITE_P(Diffusers, WholeRun, ::testing::ValuesIn(all_cases()),
                         [](const auto& info) {
                           std::string name = info.param.name();
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

}  // namespace
}  // namespace sora
