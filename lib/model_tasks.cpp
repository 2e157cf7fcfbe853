#include "lib/model_tasks.h"

#include "lib/core/error.h"
#include "lib/hub/pull.h"
#include "lib/hub/verify.h"
#include "lib/model_convert.h"
#include "lib/models/inventory.h"
#include "lib/models/registry.h"
#include "lib/pipelines/memory_plan.h"
#include "lib/pipelines/plan.h"

namespace sora {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

json run(const ListModels& task, const fs::path& built_in, Observer&) {
  return {{"models", list_models(built_in, task.models_dir)}};
}

// What a clip asks of the memory where nothing has to be streamed or cut into tiles.
json memory_for(const ShowModel& task, const ModelInfo& model) {
  Request request;
  request.operation = GenerateRequest{.prompt = "a clip"};
  if (!task.size.empty()) request.video.size = parse_size(task.size);
  if (task.num_frames > 0) request.video.num_frames = task.num_frames;
  const Plan plan = make_plan(request, model);
  const MemoryPlan memory = plan_memory(model, plan, INT64_MAX);
  return {{"size", to_string(plan.output_size)},
          {"frames", plan.output_frames},
          {"dtype", plan.dtype},
          {"peak", memory.peak()},
          {"text", memory.text},
          {"sample", memory.sample},
          {"decode", memory.decode}};
}

json run(const ShowModel& task, const fs::path& built_in, Observer&) {
  const fs::path path = find_model(task.model, built_in, task.files);
  try {
    const ModelInfo model = read_model_info(task.model, path, task.files);
    json described = describe_model(model);
    described["memory"] = memory_for(task, model);
    return described;
  } catch (const Error& error) {
    // A file whose companions are missing, where none was named, is still something.
    ModelFiles none_named;
    none_named.models_dir = task.files.models_dir;
    const bool is_alone = fs::is_regular_file(path) && task.files == none_named;
    if (error.kind() != ErrorKind::NotFound || !is_alone) throw;
    json described = describe_file(task.model, path);
    if (described.is_null()) throw;
    described["notices"] = {error.what()};
    return described;
  }
}

json run(const VerifyModel& task, const fs::path& built_in, Observer& observer) {
  ModelFiles files;
  files.models_dir = task.models_dir;
  json result = verify_files(find_model(task.model, built_in, files), observer);
  if (!result["ok"]) {
    // A blob that is there is not loaded again.
    std::string damaged;
    std::string missing;
    std::string blobs;
    const auto add = [](std::string& names, const json& name) {
      names += (names.empty() ? "" : ", ") + name.get<std::string>();
    };
    for (const json& file : result["files"]) {
      if (file["state"] == "missing") add(missing, file["path"]);
      if (file["state"] != "damaged") continue;
      add(damaged, file["path"]);
      add(blobs, file["blob"]);
    }
    fail(ErrorKind::Input, "{}: {}{}{}{}; {}pull the model again", task.model,
         damaged.empty() ? "" : "damaged files: ", damaged,
         missing.empty()   ? ""
         : damaged.empty() ? "missing files: "
                           : "; missing files: ",
         missing, blobs.empty() ? "" : "remove " + blobs + " and ");
  }
  return result;
}

json run(const ConvertModel& task, const fs::path&, Observer& observer) {
  return convert_model(task, observer);
}

json run(const PullModel& task, const fs::path&, Observer& observer) {
  auto name = parse_hub_name(task.model);
  std::vector<std::string> include = task.include;
  std::string file;
  if (const auto one = name ? std::nullopt : parse_hub_file_name(task.model)) {  // as for --model
    name = one->repository;
    file = one->file;
    include.push_back(file);
  }
  if (!name)
    fail(ErrorKind::Usage, "{}: is no name of a model on a hub; write org/name[@revision][/file]",
         task.model);
  const PullResult result = pull_model(*name, {include, task.connections, task.offline}, observer);
  return {{"path", (file.empty() ? result.snapshot : result.snapshot / file).string()},
          {"commit", result.commit},
          {"files", result.num_files},
          {"bytes", result.num_bytes},
          {"bytes_loaded", result.num_bytes_loaded}};
}

}  // namespace

json run_model_task(const ModelTask& task, const fs::path& built_in, Observer& observer) {
  return std::visit([&](const auto& each) { return run(each, built_in, observer); }, task);
}

}  // namespace sora
