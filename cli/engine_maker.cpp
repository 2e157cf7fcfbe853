#include "cli/engine_maker.h"

#include "cli/engine_library.h"
#include "cli/parse.h"
#include "cli/results.h"
#include "cli/run.h"
#include "lib/core/error.h"

namespace sora::cli {
namespace {

// Output and side files go below the stage, as deep as they are to lie below the output folder.
void write_below(const std::filesystem::path& stage, const std::string& output, OutputSpec& spec) {
  const std::filesystem::path path = stage / output;
  const bool is_sequence = path.filename().string().find('%') != std::string::npos;
  std::filesystem::create_directories(is_sequence ? path.parent_path().parent_path()
                                                  : path.parent_path());
  spec.path = path.string();
  if (spec.latents_path.empty()) return;
  const std::filesystem::path latents = stage / spec.latents_path;
  std::filesystem::create_directories(latents.parent_path());
  spec.latents_path = latents.string();
}

// A queued command's relative paths begin where it was typed.
void use_directory(const Job& job) {
  if (!job.details.contains("directory")) return;
  std::error_code error;
  std::filesystem::current_path(job.details.at("directory").get<std::string>(), error);
  if (error) fail(ErrorKind::NotFound, "the folder {}, where this job was added, is gone", job.details.at("directory").get<std::string>());
}

}  // namespace

MakeClips parse_job(const std::vector<std::string>& command) {
  const Command parsed = parse(command);
  const auto* make = std::get_if<MakeClips>(&parsed.action);
  if (make == nullptr)
    fail(ErrorKind::Usage, "'{}' makes no clip", command.empty() ? "" : command.front());
  return *make;
}

EngineMaker::EngineMaker() : engine_(load_engine()) { engine_->keep_models_loaded(); }

// A job that was cut off after sampling goes on from its latents.
std::vector<ClipResult> EngineMaker::make_clips(const Request& request, const std::filesystem::path& latents, Observer& observer) {
  engine_->keep_latents_at(latents.string());
  if (std::filesystem::exists(latents)) {
    try {
      return engine_->decode(latents.string(), request.output, request.runtime, observer);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::Input) throw;
      std::filesystem::remove(latents);  // of another version, or damaged
    }
  }
  return engine_->run(request, observer);
}

nlohmann::json EngineMaker::make(const Job& job, const std::filesystem::path& stage,
                                 Observer& observer) {
  use_directory(job);
  Request request = with_recipe(parse_job(job.command), *engine_);
  write_below(stage, job.output, request.output);
  nlohmann::json clips = nlohmann::json::array();
  for (const ClipResult& clip : make_clips(request, OutputFolder::latents_beside(stage), observer)) {
    nlohmann::json result = to_json(clip);
    for (const char* key : {"path", "paths"}) result.erase(key);
    result["paths"] = nlohmann::json::array();
    for (const std::string& path : clip.paths) {
      result["paths"].push_back(
          std::filesystem::path(path).lexically_relative(stage).generic_string());
    }
    clips.push_back(std::move(result));
  }
  return clips;
}

void EngineMaker::prepare(const std::vector<Job>& jobs, Observer& observer) {
  std::vector<Request> requests;
  for (const Job& job : jobs) {
    use_directory(job);
    requests.push_back(with_recipe(parse_job(job.command), *engine_));
  }
  engine_->prepare(requests, observer);
}

}  // namespace sora::cli
