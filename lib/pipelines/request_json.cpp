// The request as JSON: keys are the option names' field terms (negative_prompt, guidance_scale,
// num_frames, ...), and only what was asked is written. Reading is strict: an unknown key is an
// error that names it.
#include "lib/pipelines/object_reader.h"
#include "lib/pipelines/request.h"
#include "lib/pipelines/request_operations_json.h"

namespace sora {
namespace {

using nlohmann::json;

struct ModelFileRow {
  const char* key;
  std::string ModelFiles::*path;
};

constexpr ModelFileRow kModelFiles[] = {
    {"transformer_2", &ModelFiles::transformer_2}, {"vae", &ModelFiles::vae},
    {"text_encoder", &ModelFiles::text_encoder},   {"tokenizer", &ModelFiles::tokenizer},
    {"image_encoder", &ModelFiles::image_encoder}, {"models_dir", &ModelFiles::models_dir},
    {"tiny_vae", &ModelFiles::tiny_vae},           {"vace", &ModelFiles::vace},
};

json to_json(const ModelFiles& files) {
  json object = json::object();
  for (const ModelFileRow& row : kModelFiles) put(object, row.key, files.*row.path);
  for (const LoraChoice& lora : files.loras) {
    json each = {{"path", lora.path}, {"weight", lora.weight}};
    put(each, "expert", lora.expert);
    object["loras"].push_back(each);
  }
  if (files.draft) object["draft"] = true;
  if (files.turbo) object["turbo"] = *files.turbo;
  return object;
}

ModelFiles model_files_from_json(const json& object) {
  ModelFiles files;
  ObjectReader reader(object, "the request's 'files'");
  for (const ModelFileRow& row : kModelFiles) reader.read(row.key, files.*row.path);
  std::vector<json> loras;
  reader.read("loras", loras);
  reader.read("draft", files.draft);
  reader.read("turbo", files.turbo);
  reader.check_all_known();
  for (const json& each : loras) {
    LoraChoice& lora = files.loras.emplace_back();
    ObjectReader lora_reader(each, "a LoRA of the request");
    lora_reader.read("path", lora.path);
    lora_reader.read("weight", lora.weight);
    lora_reader.read("expert", lora.expert);
    lora_reader.check_all_known();
  }
  return files;
}

}  // namespace

json to_json(const Request& request) {
  json video = json::object();
  put(video, "size", request.video.size);
  put(video, "resolution", request.video.resolution);
  put(video, "aspect", request.video.aspect);
  put(video, "duration_s", request.video.duration_s);
  put(video, "num_frames", request.video.num_frames);
  put(video, "fps", request.video.fps);
  if (request.video.native) video["native"] = true;

  json sampling = json::object();
  put(sampling, "steps", request.sampling.steps);
  put(sampling, "guidance_scale", request.sampling.guidance_scale);
  put(sampling, "guidance_scale_2", request.sampling.guidance_scale_2);
  if (const auto& interval = request.sampling.guidance_interval)
    sampling["guidance_interval"] = to_string(*interval);
  put(sampling, "cache_threshold", request.sampling.cache_threshold);
  put(sampling, "negative_prompt", request.sampling.negative_prompt);
  put(sampling, "scheduler", request.sampling.scheduler);
  put(sampling, "shift", request.sampling.shift);
  put(sampling, "seed", request.sampling.seed);

  json object;
  object["operation"] = operation_name(request.operation);
  object["arguments"] = arguments_to_json(request.operation);
  object["video"] = video;
  object["sampling"] = sampling;
  object["model"] = request.runtime.model;
  const json files = to_json(request.runtime.files);
  if (!files.empty()) object["files"] = files;
  object["dtype"] = request.runtime.dtype;
  object["device"] = request.runtime.device;
  if (request.runtime.attention != "auto") object["attention"] = request.runtime.attention;
  return object;
}

Request request_from_json(const json& object) {
  Request request;
  std::string operation;
  json arguments = json::object();
  json video = json::object();
  json sampling = json::object();

  ObjectReader reader(object, "the request");
  reader.read("operation", operation);
  reader.read("arguments", arguments);
  reader.read("video", video);
  reader.read("sampling", sampling);
  reader.read("model", request.runtime.model);
  json files = json::object();
  reader.read("files", files);
  reader.read("dtype", request.runtime.dtype);
  reader.read("device", request.runtime.device);
  reader.read("attention", request.runtime.attention);
  reader.check_all_known();
  request.operation = operation_from_json(operation, arguments);
  request.runtime.files = model_files_from_json(files);

  ObjectReader video_reader(video, "the request's 'video'");
  video_reader.read("size", request.video.size);
  video_reader.read("resolution", request.video.resolution);
  video_reader.read("aspect", request.video.aspect);
  video_reader.read("duration_s", request.video.duration_s);
  video_reader.read("num_frames", request.video.num_frames);
  video_reader.read("fps", request.video.fps);
  video_reader.read("native", request.video.native);
  video_reader.check_all_known();

  ObjectReader sampling_reader(sampling, "the request's 'sampling'");
  sampling_reader.read("steps", request.sampling.steps);
  sampling_reader.read("guidance_scale", request.sampling.guidance_scale);
  sampling_reader.read("guidance_scale_2", request.sampling.guidance_scale_2);
  std::optional<std::string> interval;
  sampling_reader.read("guidance_interval", interval);
  if (interval) request.sampling.guidance_interval = parse_guidance_interval(*interval);
  sampling_reader.read("cache_threshold", request.sampling.cache_threshold);
  sampling_reader.read("negative_prompt", request.sampling.negative_prompt);
  sampling_reader.read("scheduler", request.sampling.scheduler);
  sampling_reader.read("shift", request.sampling.shift);
  sampling_reader.read("seed", request.sampling.seed);
  sampling_reader.check_all_known();

  check(request);
  return request;
}

}  // namespace sora
