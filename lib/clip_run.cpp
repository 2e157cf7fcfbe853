#include "lib/clip_run.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <new>
#include <string_view>
#include <utility>
#include <variant>

#include "lib/core/json_file.h"
#include "lib/core/numbered_names.h"
#include "lib/media/output_file.h"
#include "lib/pipelines/output_path.h"
#include "lib/pipelines/soundtrack.h"
#include "lib/pipelines/source.h"
#include "lib/pipelines/vocabulary.h"
#include "lib/provenance/content_credentials.h"
#include "lib/provenance/output_marks.h"
#include "lib/provenance/policy.h"
#include "lib/provenance/watermark_pattern.h"
#include "lib/run_manifest.h"
#include "lib/tensor_io/safetensors.h"
#include "sora/build_config.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

CredentialOrder credentials_for(const std::string& output_path, const Manifest& manifest,
                                const Operation& operation, const Layout& layout) {
  CredentialOrder order{
      output_path, to_text(to_json(manifest)), kVersion, !sources_of(operation).empty(), {}};
  for (const ManifestSource& source : manifest.sources)
    order.sources.push_back(
        {fs::path(source.name).filename().string(), layout.readable(source.name), source.sha256});
  return order;
}

// Torch has no kind of error for the CPU's allocator, only its name in the message.
bool is_lack_of_memory(const c10::Error& error) {
  const std::string_view message = error.what_without_backtrace();
  return dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr ||
         message.find("DefaultCPUAllocator") != message.npos ||
         message.find("out of memory") != message.npos;
}

// Beside the clip, or elsewhere where the disk there is what failed. Returns where; throws
// Error(Io) where nothing took them.
std::string write_kept_latents(const std::string& clip_path, const at::Tensor& latents,
                               const nlohmann::json& manifest) {
  const fs::path beside = (clip_path == "-" ? "clip" : clip_path) + ".latents.safetensors";
  std::error_code none;
  const fs::path elsewhere[] = {fs::current_path(none), fs::temp_directory_path(none)};
  std::string problem;
  for (const fs::path& path :
       {beside, elsewhere[0] / beside.filename(), elsewhere[1] / beside.filename()}) {
    try {
      write_safetensors(path, {{"latents", latents}}, {{"manifest", to_text(manifest)}});
      return path.string();
    } catch (const Error& error) {
      problem = error.what();
    }
  }
  throw Error(ErrorKind::Io, problem);
}

// What took hours to sample, where it was sampled at once, outlives a decoder that fails: `sora
// decode` finishes the clip. Without a path they are kept elsewhere already.
template <typename Finish>
void keeping_latents(const std::string& clip_path, const at::Tensor& latents,
                     const nlohmann::json& manifest, const Finish& finish) {
  const auto keep = [&](ErrorKind kind, const std::string& reason) {
    std::string path;
    try {
      path = write_kept_latents(clip_path, latents, manifest);
    } catch (const Error& error) {
      fail(kind, "{}; the latents could not be kept either: {}", reason, error.what());
    }
    fail(kind, "{}; the latents are kept, finish the clip with sora decode {}", reason, path);
  };
  try {
    finish();
  } catch (const Error& error) {
    const bool reader_left = clip_path == "-" && error.kind() == ErrorKind::Io;
    const bool unwanted = reader_left || clip_path.empty() ||
                          error.kind() == ErrorKind::Cancelled ||
                          error.kind() == ErrorKind::Refused;
    if (!latents.defined() || unwanted) throw;
    keep(error.kind(), error.what());
  } catch (const std::bad_alloc&) {
    if (!latents.defined() || clip_path.empty()) throw;
    keep(ErrorKind::Memory, "there is too little memory to decode the clip");
  } catch (const c10::Error& error) {
    if (!latents.defined() || clip_path.empty()) throw;
    keep(is_lack_of_memory(error) ? ErrorKind::Memory : ErrorKind::Internal,
         error.what_without_backtrace());
  } catch (const std::exception& error) {
    if (!latents.defined() || clip_path.empty()) throw;
    keep(ErrorKind::Internal, error.what());
  }
}

std::string said_in(const Plan& plan) {
  std::string said;
  for (const Said& prompt : plan.layout.prompts) said += prompt.text + "\n";
  return said;
}

}  // namespace

void enforce_policy_on_plan(const Request& asked, const Plan& plan, Observer& observer) {
  Request request = asked;
  const std::string said = said_in(plan);
  const bool is_new = std::visit(
      [&](auto& operation) {
        const bool differs = operation.prompt + "\n" != said;
        operation.prompt = said;
        return differs;
      },
      request.operation);
  if (is_new) enforce_policy(request, observer);
}

ClipShape shape_of(const Plan& plan) {
  return {plan.output_size, plan.output_frames, plan.output_fps, plan.variations};
}

void check_output(const OutputSpec& output, const ClipShape& shape) {
  const std::string base =
      output.path.empty() ? free_output_path("", 0, shape.variations) : output.path;
  for (int index = 0; index < shape.variations; ++index) {
    check_writable({.path = variation_path(base, index, shape.variations),
                    .codec = output.codec,
                    .width = shape.size.width,
                    .height = shape.size.height,
                    .fps = shape.fps,
                    .quality = output.quality,
                    .force = output.force,
                    .metadata_json = "{}",
                    .expected_frames = shape.num_frames});
    if (!output.latents_path.empty())
      OutputFile::check(variation_path(output.latents_path, index, shape.variations), output.force);
  }
}

SigningIdentity identity_for(const std::string& output_path, const OutputSpec& output) {
  check_can_sign(output_path);
  return read_identity(output.identity);
}

ClipRun::ClipRun(const Request& request, const ModelInfo& model, const Plan& plan,
                 const Terms& terms, Observer& observer)
    : request_(request),
      model_(model),
      plan_(plan),
      terms_(terms),
      observer_(observer),
      count_(plan.variations),
      image_policy_(Policy::in_force(), operation_name(request.operation)) {
  check_texts();
  const auto* generate = std::get_if<GenerateRequest>(&request.operation);
  for (const std::string& path : sources_of(request.operation)) {
    const bool is_text = generate != nullptr && path == generate->storyboard;
    if (!is_text && !Source::is_stream(path))
      image_policy_.check_file(path);  // what comes through a pipe is seen in the clip
  }
  if (terms.admission != nullptr) terms.admission->planned(shape_of(plan));
  base_path_ = request.output.path.empty()
                   ? free_output_path(plan.layout.prompt(), plan.seed, count_)
                   : request.output.path;
  if (request.output.sign) identity_ = identity_for(base_path_, request.output);
  if (terms.writes) {
    for (int index = 0; index < count_; ++index) {
      check_writable(writer_options(index, nlohmann::json::object()));
      check_latents_path(index);
      check_is_no_clip("--preview-file", terms.preview_path, index);
    }
  }
  if (terms.writes && !request.output.latents_path.empty() && plan.windows.size() > 1) {
    observer.notice(
        fmt::format("--save-latents: the clip is drawn in {} windows, whose latents sora decode "
                    "does not join",
                    plan.windows.size()));
  }
  const Size& size = plan.output_size;
  if (terms.writes && has_invisible(request.output.watermark) &&
      std::min(size.width, size.height) < kWatermarkTile) {
    observer.notice(fmt::format(
        "--watermark: pictures of {} hold less than one whole mark, which is {} pixels to a side; "
        "sora verify may not find it",
        to_string(size), kWatermarkTile));
  }
  observer.begin(Phase::Load, 1);
  manifest_ = describe_making(request, terms.preset, plan, model, observer);
  observer.advance(Phase::Load, 1);
  if (const std::string& known = request.runtime.known_fingerprint;
      !known.empty() && known != manifest_.model.fingerprint) {
    observer.notice(
        fmt::format("{} has other weights than those that the recipe's clip was made with; this is "
                    "another clip",
                    model.name));
  }
  sound_NC_ = make_soundtrack(plan.layout, observer);
}

void ClipRun::check_latents_path(int index) const {
  if (request_.output.latents_path.empty()) return;
  const std::string path = variation_path(request_.output.latents_path, index, count_);
  check_is_no_clip("--save-latents", path, index);
  for (const std::string& source : sources_of(request_.operation)) {
    std::error_code none;
    if (fs::equivalent(path, source, none))
      fail(ErrorKind::Usage, "--save-latents {} is a source of the clip; give another name", path);
  }
  OutputFile::check(path, request_.output.force);
}

void ClipRun::check_is_no_clip(const char* option, const std::string& path, int index) const {
  const auto normal = [](const fs::path& name) { return fs::absolute(name).lexically_normal(); };
  if (!path.empty() && normal(path) == normal(variation_path(base_path_, index, count_)))
    fail(ErrorKind::Usage, "{} {} is the clip's own name; give another", option, path);
}

void ClipRun::check_texts() const {
  enforce_policy_on_plan(request_, plan_, observer_);
  if (terms_.known_latents_1CFHW.defined()) return;  // no text is drawn
  const std::string said = said_in(plan_);
  const std::vector<std::string> unknown = unknown_words(said, model_.defaults.vocabulary);
  if (unknown.empty()) return;
  observer_.notice(fmt::format("{} does not know: {}; it draws what it makes of the rest",
                               model_.name, fmt::join(unknown, ", ")));
}

std::vector<ClipResult> ClipRun::make(Preview* preview) {
  preview_ = preview;
  std::vector<ClipResult> results;
  auto start = terms_.start;
  for (int index = 0; index < count_; ++index) {
    ClipResult result = make_variation(index);
    const auto now = std::chrono::steady_clock::now();
    result.seconds = std::chrono::duration<double>(now - start).count();
    start = now;
    if (terms_.take_clip) terms_.take_clip(result);
    results.push_back(std::move(result));
  }
  return results;
}

ClipResult ClipRun::make_variation(int index) {
  ClipResult result;
  result.seed = plan_.seed + static_cast<uint64_t>(index);
  result.size = plan_.output_size;
  result.num_frames = plan_.output_frames;
  result.fps = plan_.output_fps;
  manifest_.seed = result.seed;
  manifest_.request = to_json(resolved(request_, plan_, model_, result.seed));
  result.manifest = to_json(manifest_);

  const WriterOptions options = writer_options(index, result.manifest);
  // Before any work, so that what cannot be written fails at once.
  std::optional<VideoWriter> writer;
  if (terms_.writes) writer.emplace(options);
  if (!maker_) maker_.emplace(request_, model_, plan_, observer_, preview_);
  draw(index, result, options.path, writer ? &*writer : nullptr);

  if (terms_.admission != nullptr) terms_.admission->made(index);
  if (writer) {
    for (const std::string& notice : writer->notices()) observer_.notice(notice);
    result.paths = writer->paths();
  }
  return result;
}

WriterOptions ClipRun::writer_options(int index, const nlohmann::json& manifest) const {
  WriterOptions options;
  options.path = variation_path(base_path_, index, count_);
  options.codec = request_.output.codec;
  options.width = plan_.output_size.width;
  options.height = plan_.output_size.height;
  options.fps = plan_.output_fps;
  options.quality = request_.output.quality;
  options.force = request_.output.force;
  options.metadata_json = to_text(manifest);
  options.expected_frames = plan_.output_frames;
  options.title = plan_.layout.prompt();
  options.sound_NC = sound_NC_;
  if (identity_) {
    options.seal = [order =
                        credentials_for(options.path, manifest_, request_.operation, plan_.layout),
                    this](const std::string& path) { sign_file(path, order, *identity_); };
  }
  return options;
}

void ClipRun::draw(int index, const ClipResult& result, const std::string& path,
                   VideoWriter* writer) {
  const std::map<std::string, std::string> metadata = {{"manifest", to_text(result.manifest)}};
  const bool has_one_window = plan_.windows.size() == 1;
  const bool keeps_latents = terms_.writes && !terms_.latents_at.empty() && has_one_window &&
                             count_ == 1 && !terms_.known_latents_1CFHW.defined();
  const bool may_keep = terms_.latents_at.empty() && !terms_.known_latents_1CFHW.defined();
  at::Tensor finished;  // latents of a clip of one window
  std::vector<std::pair<std::string, at::Tensor>> latents;
  const auto take_latents = [&](size_t window, const at::Tensor& tensor) {
    if (has_one_window) finished = tensor;
    if (keeps_latents) write_safetensors(terms_.latents_at, {{"latents", tensor}}, metadata);
    if (!request_.output.latents_path.empty()) {
      latents.emplace_back(has_one_window ? "latents" : fmt::format("{}{}", kWindowLatents, window),
                           tensor);
    }
  };
  OutputMarks marks(request_.output.watermark, plan_.output_size, metadata.at("manifest"));
  const auto take_frames = [&](const at::Tensor& frames) {
    image_policy_.check_frames(frames);
    if (writer != nullptr) writer->write(marks(frames));
  };
  image_policy_.begin_clip(plan_.output_fps);
  keeping_latents(may_keep ? path : "", finished, result.manifest, [&] {
    maker_->make({result.seed, index + 1 == count_, !terms_.writes, terms_.known_latents_1CFHW},
                 take_frames, take_latents);
    if (!latents.empty() && terms_.writes) {
      write_safetensors(variation_path(request_.output.latents_path, index, count_), latents,
                        metadata);
    }
    check_stop(observer_);
    if (writer != nullptr) writer->finish();
  });
}

}  // namespace sora
