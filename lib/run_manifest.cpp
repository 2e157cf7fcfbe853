#include "lib/run_manifest.h"

#include <torch/version.h>

#include <algorithm>
#include <memory>
#include <variant>
#include <vector>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/media/ffmpeg_version.h"
#include "lib/media/video_reader.h"
#include "lib/nn/device.h"
#include "lib/pipelines/memory_plan.h"
#include "lib/provenance/digest.h"
#include "lib/provenance/model_digest.h"
#include "lib/provenance/watermark.h"
#include "lib/schedulers/scheduler.h"
#include "sora/build_config.h"

namespace sora {
namespace {

ManifestVideo video_of(Size size, int64_t num_frames, Rational fps) {
  return {size.width, size.height, num_frames, fps};
}

bool has_storyboard(const Request& request) {
  const auto* generate = std::get_if<GenerateRequest>(&request.operation);
  return generate != nullptr && !generate->storyboard.empty();
}

// Marks that pictures of a file may carry, by its own manifest: its mark, and those of its sources.
std::vector<std::string> marks_of(const std::string& path) {
  std::vector<std::string> marks;
  try {
    const FileInfo info = probe(path);
    if (info.metadata_json.empty()) return marks;
    const Manifest manifest =
        manifest_from_json(parse_json(info.metadata_json, path), info.metadata_path);
    if (has_invisible(parse_watermark(manifest.watermark.empty() ? "none" : manifest.watermark)))
      marks.push_back(watermark_id(watermark_payload(info.metadata_json)));
    for (const ManifestSource& source : manifest.sources) {
      for (const std::string& mark : source.watermarks) {
        if (std::find(marks.begin(), marks.end(), mark) == marks.end()) marks.push_back(mark);
      }
    }
  } catch (const Error&) {  // a storyboard, or a manifest of another version
  }
  return marks;
}

ManifestSchedule schedule_of(const Request& request, const Plan& plan, const ModelInfo& model) {
  const std::unique_ptr<Scheduler> scheduler =
      make_scheduler(model.scheduler, {plan.scheduler, request.sampling.shift});
  scheduler->set_timesteps(plan.steps);
  return {plan.scheduler.value_or(model.scheduler.value("_class_name", "")),
          scheduler->schedule().sigmas, plan.guidance_scale, plan.guidance_scale_2};
}

}  // namespace

Request resolved(Request request, const Plan& plan, const ModelInfo& model, uint64_t seed) {
  request.video.size = plan.output_size;
  request.video.resolution.reset();
  request.video.aspect.reset();
  request.video.duration_s.reset();
  const bool is_free_length = std::holds_alternative<GenerateRequest>(request.operation);
  request.video.num_frames.reset();
  if (is_free_length)
    request.video.num_frames = plan.output_frames;  // a tool's own options say how long
  request.video.fps = plan.output_fps;
  request.sampling.steps = plan.steps;
  request.sampling.guidance_scale = plan.guidance_scale;
  if (model.has_two_experts()) request.sampling.guidance_scale_2 = plan.guidance_scale_2;
  request.sampling.negative_prompt = plan.negative_prompt;
  request.sampling.seed = seed;
  request.runtime.dtype = plan.dtype;
  request.runtime.device = device_name(plan.device);
  request.sampling.scheduler = plan.scheduler;
  // A storyboard's prompt is said with every card's text.
  const bool says_all = plan.layout.prompts.size() == 1 && !has_storyboard(request);
  std::visit(
      [&](auto& operation) {
        operation.variations = 1;
        if (says_all) operation.prompt = plan.layout.prompt();
      },
      request.operation);
  return request;
}

Manifest describe_making(const Request& request, const std::string& preset, const Plan& plan,
                         const ModelInfo& model, const Observer& observer) {
  Manifest manifest;
  manifest.created_by = std::string("sora ") + kVersion;
  manifest.operation = operation_name(request.operation);
  manifest.preset = preset;
  if (has_storyboard(request) && plan.layout.prompts.size() == 1)
    manifest.text = plan.layout.prompt();
  manifest.model.name = model.name;
  manifest.model.class_name = model.transformer.class_name();
  manifest.model.fingerprint = *model.part<std::string>("fingerprint", [&] {
    return std::make_shared<const std::string>(
        fingerprint(digest_model(model, DigestCache(), observer)));
  });
  manifest.model.dtype = plan.dtype;
  for (const std::string& name : sources_of(request.operation)) {
    const std::string path = plan.layout.readable(name);
    manifest.sources.push_back({name, sha256_of_file(path, observer), marks_of(path)});
  }
  manifest.video = video_of(plan.output_size, plan.output_frames, plan.output_fps);
  manifest.canvas = video_of(plan.canvas_size, plan.canvas_frames, plan.canvas_fps);
  manifest.schedule = schedule_of(request, plan, model);
  manifest.tiled = tiled_parts(model, plan);
  if (request.output.watermark != Watermark::None)
    manifest.watermark = to_string(request.output.watermark);
  manifest.libraries = {{"libtorch", TORCH_VERSION}, {"ffmpeg", ffmpeg_version()}};
  return manifest;
}

}  // namespace sora
