// The engine behind the library's door: finds the model, plans, makes each clip, writes it with its
// manifest.
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <dlfcn.h>
#include <torch/version.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <map>
#include <optional>
#include <set>

#include "lib/clip_run.h"
#include "lib/core/json_file.h"
#include "lib/core/scheduler_names.h"
#include "lib/gallery/gallery_id.h"
#include "lib/gallery/server.h"
#include "lib/gallery/share.h"
#include "lib/media/contact_sheet.h"
#include "lib/media/ffmpeg_version.h"
#include "lib/media/terminal_picture.h"
#include "lib/media/video_reader.h"
#include "lib/media/video_writer.h"
#include "lib/model_tasks.h"
#include "lib/models/registry.h"
#include "lib/nn/device.h"
#include "lib/nn/ranks.h"
#include "lib/pipelines/conditioning.h"
#include "lib/pipelines/memory_plan.h"
#include "lib/pipelines/plan_report.h"
#include "lib/pipelines/presets.h"
#include "lib/pipelines/preview.h"
#include "lib/pipelines/source.h"
#include "lib/provenance/digest.h"
#include "lib/provenance/manifest.h"
#include "lib/provenance/model_digest.h"
#include "lib/provenance/policy.h"
#include "lib/provenance/signing_identity.h"
#include "lib/provenance/verify.h"
#include "lib/schedulers/scheduler.h"
#include "lib/serve/http_server.h"
#include "lib/serve/tokens.h"
#include "lib/sora.h"
#include "lib/tensor_io/checkpoint.h"
#include "lib/tensor_io/safetensors.h"
#include "lib/turbo_default.h"
#include "sora/build_config.h"

namespace sora {
namespace {

// The built-in models lie where the installation or the build tree puts them, relative to
// libsora.so itself.
std::filesystem::path built_in_models() {
  Dl_info info = {};
  dladdr(reinterpret_cast<const void*>(&sora_new_engine), &info);
  const std::filesystem::path library = std::filesystem::canonical(info.dli_fname).parent_path();
  for (const char* relative : kModelPathsFromLibrary) {
    const std::filesystem::path path = library / relative;
    if (std::filesystem::exists(path)) return std::filesystem::canonical(path);
  }
  return library / kModelPathsFromLibrary[0];
}

bool is_same_model(const Runtime& a, const Runtime& b) {
  return a.model == b.model && a.files == b.files && a.device == b.device;
}

// Whether the parts that are used after one another may all stay: they take less than half of the
// memory there.
bool fits_in_memory(const ModelInfo& model, at::Device device) {
  const int64_t memory = device.is_cpu() ? int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGE_SIZE)
                                         : free_memory(device);
  int64_t weights = Checkpoint::open(model.parts.transformer).num_bytes() +
                    Checkpoint::open(model.parts.vae).num_bytes();
  for (const std::filesystem::path& path :
       {model.parts.transformer_2, model.parts.control, model.parts.control_2}) {
    if (!path.empty()) weights += Checkpoint::open(path).num_bytes();
  }
  return weights < memory / 2;
}

std::filesystem::path built_in_presets() { return built_in_models().parent_path() / "presets"; }

// The preset that is asked for, or the one of a recipe whose text is in the prompt still.
std::string preset_of(const Request& request) {
  return std::visit(
      [&](const auto& chosen) -> std::string {
        if constexpr (requires { chosen.preset; }) {
          const std::string& known = request.runtime.known_preset;
          if (!chosen.preset.empty() || known.empty()) return chosen.preset;
          for (const Preset& preset : list_presets(built_in_presets(), user_presets())) {
            if (preset.name == known && chosen.prompt.ends_with(preset.prompt)) return known;
          }
        }
        return "";
      },
      request.operation);
}

// The file that a name stands for. Throws Error(Usage) for what is not there a second time.
std::string lasting_file(const std::string& name, const char* tool) {
  if (Source::is_stream(name)) {
    fail(ErrorKind::Usage,
         "{} comes through a pipe, and {} reads a file more than once; save it first", name, tool);
  }
  return resolve_gallery_id(name);
}

class LocalEngine : public Engine {
 public:
  std::vector<ClipResult> run(const Request& request, Observer& observer) override {
    try {
      return make_clips(request, {}, observer);
    } catch (const c10::OutOfMemoryError&) {
      fail(ErrorKind::Memory,
           "the GPU ran out of memory; make the clip smaller or shorter, or give --memory less "
           "than it has");
    }
  }
  std::vector<ClipResult> decode(const std::string& latents_path, const OutputSpec& output,
                                 const Runtime& runtime, Observer& observer) override;
  PlanReport plan(const Request& request) override;
  void check_output(const OutputSpec& output, const ClipShape& shape) override {
    sora::check_output(output, shape);
  }
  nlohmann::json info(const std::string& path) override {
    return to_json(probe(lasting_file(path, "info")));
  }
  Request recipe(const std::string& path) override;
  nlohmann::json models(const ModelTask& task, Observer& observer) override {
    const c10::InferenceMode inference;
    return run_model_task(task, built_in_models(), observer);
  }
  nlohmann::json presets() override {
    return to_json(list_presets(built_in_presets(), user_presets()));
  }
  nlohmann::json versions() override;
  GalleryReport explore(const GalleryRequest& request, Observer& observer) override {
    const c10::InferenceMode inference;
    return make_gallery(request, observer);
  }
  void serve(const GalleryRequest& request, int port,
             const std::function<void(const std::string&)>& on_ready, Observer& observer) override {
    const c10::InferenceMode inference;
    serve_gallery(request, port, on_ready, observer);
  }
  void set_preview(const PreviewSpec& preview) override {
    check(preview);
    preview_spec_ = preview;
  }
  Pictures sheet(const SheetRequest& request, Observer& observer) override;
  void write_sheet(const Pictures& sheet, const std::string& path, bool force) override {
    sora::write_sheet(sheet, path, force);
  }
  TerminalDrawing draw(const Pictures& pictures, int64_t frame, const TerminalForm& form,
                       int max_columns, int max_rows) override {
    return draw_for_terminal(pictures, frame, form, max_columns, max_rows);
  }
  nlohmann::json share(const ShareTask& task, Observer& observer) override {
    const c10::InferenceMode inference;
    return run_share_task(task, {built_in_presets(), user_presets()}, observer);
  }
  void serve_videos(const ServeOptions& options, VideoService& service,
                    const std::function<void(const std::string&)>& on_ready,
                    Observer& observer) override {
    sora::serve_videos(options, service, on_ready, observer);
  }
  std::string add_token(const std::string& path, const std::string& name,
                        const std::string& plan) override {
    return sora::add_token(path, name, plan);
  }
  void keep_models_loaded() override { keep_loaded_ = true; }
  void set_admission(Admission* admission) override { admission_ = admission; }
  void when_made(std::function<void(const ClipResult&)> take_clip) override {
    take_clip_ = std::move(take_clip);
  }
  void prepare(const std::vector<Request>& asked, Observer& observer) override;
  void keep_latents_at(const std::string& path) override { latents_at_ = path; }
  nlohmann::json verify(const std::string& path, Observer& observer) override {
    const c10::InferenceMode inference;
    return verify_file(lasting_file(path, "verify"), observer);
  }
  std::string new_identity(const std::string& name, const std::string& owner) override {
    return sora::new_identity(name, owner).string();
  }
  std::string sha256(const std::string& path) override { return sha256_of_file(path); }

 private:
  // With latents given only the VAE is run.
  std::vector<ClipResult> make_clips(const Request& request, const at::Tensor& known_latents,
                                     Observer& observer);

  // What is asked, with its clips found in galleries, its preset's texts written out, and in few
  // steps where that is the model's way of it.
  Request resolve(const Request& asked);
  ModelInfo find(const Request& request);
  double matrix_rate(const Plan& plan);

  std::optional<Preview> begin_preview(const ModelInfo& model, const Plan& plan,
                                       const Observer& observer) const;

  PreviewSpec preview_spec_;
  bool keep_loaded_ = false;
  std::string latents_at_;
  Admission* admission_ = nullptr;
  std::function<void(const ClipResult&)> take_clip_;
  std::optional<ModelInfo> kept_model_;  // the one that was used last
  Runtime kept_wish_;                    // what it was asked for as
  std::map<std::string, double> matrix_rates_;
};

Request LocalEngine::resolve(const Request& asked) {
  const Request request =
      with_preset(resolve_gallery_ids(asked), built_in_presets(), user_presets());
  return with_turbo_default(request, built_in_models());
}

ModelInfo LocalEngine::find(const Request& request) {
  const Runtime& wish = request.runtime;
  if (kept_model_ && is_same_model(wish, kept_wish_)) return *kept_model_;
  kept_model_.reset();
  ModelInfo model = read_model_info(
      wish.model, find_model(wish.model, built_in_models(), wish.files), wish.files);
  if (keep_loaded_) {
    if (fits_in_memory(model, choose_device(wish.device)))
      model.kept = std::make_shared<KeptParts>();
    kept_model_ = model;
    kept_wish_ = wish;
  }
  return model;
}

double LocalEngine::matrix_rate(const Plan& plan) {
  const std::string key = plan.dtype + plan.device.str();
  if (!matrix_rates_.count(key)) matrix_rates_[key] = measure_matrix_rate(plan);
  return matrix_rates_[key];
}

Pictures LocalEngine::sheet(const SheetRequest& request, Observer& observer) {
  const c10::InferenceMode inference;
  SheetRequest found = request;
  for (std::string& path : found.paths) path = lasting_file(path, "show");
  return make_sheet(found, observer);
}

std::optional<Preview> LocalEngine::begin_preview(const ModelInfo& model, const Plan& plan,
                                                  const Observer& observer) const {
  if (!preview_spec_.is_wanted()) return std::nullopt;
  const DigestCache digests;
  const std::filesystem::path digest_folder = DigestCache::default_directory();
  const std::filesystem::path cache =
      digest_folder.empty() ? digest_folder : digest_folder.parent_path() / "previews";
  const std::string vae = fingerprint(digest_model(model.parts.vae, digests, observer));
  return std::make_optional<Preview>(preview_spec_, make_previewer(model, plan, vae, cache), plan);
}

void LocalEngine::prepare(const std::vector<Request>& asked, Observer& observer) {
  if (asked.empty()) return;
  const c10::InferenceMode inference;
  const Request first = resolve(asked.front());
  const ModelInfo model = find(first);
  if (!model.kept) return;
  std::map<std::string, std::pair<TextArithmetic, std::set<std::string>>> texts_by_arithmetic;
  for (const Request& each : asked) {
    try {
      const Request request = resolve(each);
      if (!is_same_model(request.runtime, first.runtime)) continue;
      const Plan plan = make_plan(request, model);
      auto& [arithmetic, texts] = texts_by_arithmetic[plan.dtype + plan.device.str()];
      arithmetic = {plan.dtype, plan.device};
      for (const std::string& text : texts_of(plan)) texts.insert(text);
    } catch (const Error&) {
      continue;  // it tells when it is made
    }
  }
  for (const auto& [name, made] : texts_by_arithmetic) {
    keep_texts(model, made.first, {made.second.begin(), made.second.end()}, observer);
  }
}

// Throws Error(Input) for the latents of several windows, each of which ends in its neighbour's
// frames.
void check_is_joined(const SafetensorsFile& file) {
  const auto& tensors = file.tensors();
  const auto num_windows = std::count_if(
      tensors.begin(), tensors.end(),
      [](const TensorInfo& tensor) { return tensor.name.starts_with(kWindowLatents); });
  if (num_windows == 0) return;
  fail(ErrorKind::Input,
       "{} holds the latents of {} windows, which decode does not join; make the clip again with "
       "sora generate --recipe",
       file.path().string(), num_windows);
}

std::vector<ClipResult> LocalEngine::decode(const std::string& latents_path,
                                            const OutputSpec& output, const Runtime& runtime,
                                            Observer& observer) {
  const auto file = SafetensorsFile::open(latents_path);
  const auto manifest = file->metadata().find("manifest");
  if (manifest == file->metadata().end()) {
    fail(ErrorKind::Input,
         "{}: holds no manifest; it was not written by --save-latents or a clip that failed",
         latents_path);
  }
  const Manifest known =
      manifest_from_json(parse_json(manifest->second, latents_path), latents_path);
  Request request = request_from_json(known.request);
  request.runtime.known_tiled = !known.tiled.empty();
  request.output = output;
  request.runtime.threads = runtime.threads;
  request.runtime.memory_bytes = runtime.memory_bytes;
  check_is_joined(*file);
  return make_clips(request, Checkpoint({file}).get("latents"), observer);
}

std::vector<ClipResult> LocalEngine::make_clips(const Request& asked,
                                                const at::Tensor& known_latents,
                                                Observer& observer) {
  enforce_policy(asked, observer);
  const Request request = resolve(asked);
  const c10::InferenceMode inference;
  if (request.runtime.threads > 0) at::set_num_threads(request.runtime.threads);
  const auto start = std::chrono::steady_clock::now();

  ModelInfo model = find(request);
  Plan plan = make_plan(request, model);
  if (!known_latents.defined()) check_pictures(request, model, plan);
  const Ranks* ranks = Ranks::of_process();
  if (ranks != nullptr) {
    ranks->use_device(plan.device);
    plan.seed = ranks->agree_on(plan.seed);
  }
  const bool writes = ranks == nullptr || ranks->all().rank() == 0;
  const MemoryPlan memory =
      plan_memory(model, plan, request.runtime.memory_bytes, known_latents.defined());
  model.placement = memory.placement;
  if (memory.placement.streams_blocks() || memory.placement.tile_frames)
    observer.notice("memory: " + memory.describe());
  if (plan.tiled && *plan.tiled == tiled_parts(model, plan).empty()) {
    observer.notice(
        fmt::format("the first clip was decoded {} and this one is {}, as its memory asks; their "
                    "pixels differ a little",
                    *plan.tiled ? "in tiles" : "whole", *plan.tiled ? "whole" : "in tiles"));
  }
  if (plan.cuda_graph && !memory.placement.record_passes)
    observer.notice(
        "--cuda-graph: none is made, as layers are copied to the GPU while they are used");
  if (request.runtime.files.turbo == asked.runtime.files.turbo) {
    for (const std::string& notice : model.notices) observer.notice(notice);
  } else {
    observer.notice(
        fmt::format("{} draws in {} steps where nothing is said of the sampling; "
                    "--no-turbo takes all of them",
                    model.name, plan.steps));
  }
  for (const std::string& notice : plan.notices) observer.notice(notice);

  ClipRun run(request, model, plan,
              {preset_of(asked), known_latents, latents_at_, preview_spec_.path, admission_,
               take_clip_, writes, start},
              observer);
  std::optional<Preview> preview =
      known_latents.defined() || !writes ? std::nullopt : begin_preview(model, plan, observer);
  return run.make(preview ? &*preview : nullptr);
}

PlanReport LocalEngine::plan(const Request& asked) {
  Observer unheard;
  enforce_policy(asked, unheard);
  const Request request = resolve(asked);
  const c10::InferenceMode inference;
  if (request.runtime.threads > 0) at::set_num_threads(request.runtime.threads);
  const ModelInfo model = find(request);
  const Plan plan = make_plan(request, model);
  check_pictures(request, model, plan);
  enforce_policy_on_plan(request, plan, unheard);
  const MemoryPlan memory = plan_memory(model, plan, request.runtime.memory_bytes);
  const Canvas canvas = make_canvas(plan);
  const std::string output_path = request.output.path.empty() ? "clip.mp4" : request.output.path;
  check_quality(*format_for(output_path, request.output.codec).codec, request.output.quality);
  if (request.output.sign) identity_for(output_path, request.output);
  const double rate = matrix_rate(plan);
  return {describe(plan, model, memory, canvas, rate), to_json(plan, model, memory, canvas, rate),
          shape_of(plan)};
}

// Throws Error(Input) for a source that is not what the clip of this manifest was made from.
void check_sources(const Request& request, const Manifest& manifest, const std::string& clip) {
  const DigestCache digests;
  for (const std::string& path : sources_of(request.operation)) {
    if (Source::is_stream(path)) {
      fail(ErrorKind::Input,
           "{} was made from a video that came through a pipe ({}), which is not there a second "
           "time; give that video to sora {} itself",
           clip, path, operation_name(request.operation));
    }
    if (std::filesystem::path(path).is_relative() && !std::filesystem::exists(path)) {
      fail(ErrorKind::NotFound,
           "{} was made from {}, which is not below the current folder; run this where it is", clip,
           path);
    }
    const auto known =
        std::find_if(manifest.sources.begin(), manifest.sources.end(),
                     [&](const ManifestSource& source) { return source.name == path; });
    if (known != manifest.sources.end() && digests.sha256(path) != known->sha256) {
      fail(ErrorKind::Input, "{} is not the file that {} was made from: its SHA-256 is another one",
           path, clip);
    }
  }
}

Request LocalEngine::recipe(const std::string& name) {
  const std::string path = resolve_gallery_id(name);
  const bool is_json = std::filesystem::path(path).extension() == ".json";
  const std::string text = is_json ? read_file(path) : probe(path).metadata_json;
  if (text.empty())
    fail(ErrorKind::Input,
         "{} holds no manifest; it was not made by this program or lost it on the way", path);
  const Manifest manifest = manifest_from_json(parse_json(text, path), path);
  Request request = request_from_json(manifest.request);
  request.runtime.known_fingerprint = manifest.model.fingerprint;
  request.runtime.known_preset = manifest.preset;
  request.runtime.known_tiled = !manifest.tiled.empty();
  if (auto* generate = std::get_if<GenerateRequest>(&request.operation);
      generate && !generate->storyboard.empty()) {
    const std::filesystem::path packed = packed_storyboard(path);
    if (!packed.empty()) generate->storyboard = packed.string();
  }
  check_sources(request, manifest, path);
  return request;
}

nlohmann::json LocalEngine::versions() {
  return {{"sora", kVersion},
          {"libtorch", TORCH_VERSION},
          {"ffmpeg", ffmpeg_version()},
          {"threads", at::get_num_threads()},
          {"devices", device_names()},
          {"schedulers", scheduler_names()},
          {"containers", container_names()},
          {"codecs", codec_names()}};
}

}  // namespace

Engine::~Engine() = default;

std::unique_ptr<Engine> make_engine() { return std::make_unique<LocalEngine>(); }

}  // namespace sora

extern "C" sora::Engine* sora_new_engine() { return sora::make_engine().release(); }
