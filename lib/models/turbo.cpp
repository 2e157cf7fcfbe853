#include "lib/models/turbo.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <string_view>
#include <vector>

#include "lib/core/ascii.h"
#include "lib/core/error.h"
#include "lib/models/comfy_folders.h"
#include "lib/models/wan/lora.h"
#include "lib/models/wan/parts.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

struct Distillation {
  std::string_view name;  // of the file or a folder around it, of which letters and digits count
  int steps;
  double shift;
  std::vector<double> levels;  // before the shift
};

// lightx2v: denoising_step_list and sample_shift of its configs for Wan 2.1 and 2.2, which
// Self-Forcing's are too. CausVid: as ComfyUI's wrapper runs its LoRAs. FastWan:
// dmd_denoising_steps of FastVideo, with no shift to come. The last is the built-in model's, from
// scripts/train/stage_turbo.py.
const Distillation kDistillations[] = {
    {"lightx2v", 4, 5.0, {1, 0.75, 0.5, 0.25}},
    {"lightning", 4, 5.0, {1, 0.75, 0.5, 0.25}},
    {"stepdistill", 4, 5.0, {1, 0.75, 0.5, 0.25}},
    {"4stepslora", 4, 5.0, {1, 0.75, 0.5, 0.25}},
    {"selfforcing", 4, 5.0, {1, 0.75, 0.5, 0.25}},
    {"causvid", 6, 8.0, {1, 5 / 6.0, 4 / 6.0, 3 / 6.0, 2 / 6.0, 1 / 6.0}},
    {"fastwan", 3, 1.0, {1, 0.757, 0.522}},
    {"soraturbo", 4, 8.0, {1, 0.75, 0.5, 0.25}},
};
constexpr const char* kKnownNames =
    "lightx2v, Lightning, step_distill, self-forcing, CausVid, FastWan and sora-turbo";

const Distillation* find_distillation(const fs::path& name) {
  std::string plain = ascii_lower(name.string());
  std::erase_if(plain, [](unsigned char c) { return std::isalnum(c) == 0; });
  for (const Distillation& each : kDistillations) {
    if (plain.find(each.name) != std::string::npos) return &each;
  }
  return nullptr;
}

struct Candidate {
  fs::path file;
  std::string name;  // with the folders below the one that is searched, lower case
  const Distillation* distillation;

  bool says(const char* word) const { return name.find(word) != std::string::npos; }
};

// The LoRAs that lie among the model's files.
struct Shelf {
  std::vector<fs::path> folders;
  std::vector<Candidate> known;
  std::vector<std::string> others;  // names that mean nothing here
};

Shelf look_around(const fs::path& model, const ModelFiles& files) {
  Shelf shelf;
  shelf.folders = lora_folders(model, files);
  for (const fs::path& folder : shelf.folders) {
    for (const fs::path& file : weight_files_in(folder)) {
      const fs::path name = file.lexically_relative(folder);
      if (const Distillation* distillation = find_distillation(name)) {
        shelf.known.push_back({file, ascii_lower(name.string()), distillation});
      } else if (folder.filename() == "loras") {
        shelf.others.push_back(name.string());
      }
    }
  }
  return shelf;
}

struct Fit {
  std::string misfit;        // why the LoRA is not for this model, empty where it is
  bool is_complete = false;  // each of its tensors has a place
};

Fit fit(const fs::path& lora, bool low_noise, const Checkpoint& model) {
  try {
    const WanLoras read = read_wan_loras({{lora.string(), 1.0, ""}}, low_noise, false, model);
    return {.is_complete = read.num_unmatched == 0};
  } catch (const Error& error) {
    return {.misfit = error.what()};
  }
}

[[noreturn]] void fail_without(const Shelf& shelf, const ModelInfo& model,
                               const std::string& reason) {
  constexpr size_t kMaxNamed = 3;
  std::vector<std::string> places;
  for (const fs::path& folder : shelf.folders) places.push_back(folder.string());
  std::string found = "there is none";
  if (!reason.empty()) {
    found = fmt::format("there is none that fits (\"{}\")", reason);
  } else if (!shelf.others.empty()) {
    const size_t count = std::min(shelf.others.size(), kMaxNamed);
    found = fmt::format(
        "of {}{} none has a known name",
        fmt::join(shelf.others.begin(), shelf.others.begin() + static_cast<int64_t>(count), ", "),
        shelf.others.size() > count ? ", ..." : "");
  }
  fail(
      ErrorKind::NotFound,
      "--turbo needs a LoRA that distils {}, and {} in {}; known by name are {}; another is run by "
      "--lora FILE --steps N --guidance 1",
      model.name, found, fmt::join(places, ", "), kKnownNames);
}

// How far the name is from saying that the LoRA is for this model, which shapes do not tell; the
// least is the best. Most counts the other form's name (image or text to video), then that it does
// not name the expert, or does where there is but one, then that it names no form.
std::array<bool, 3> strangeness(const Candidate& candidate, bool low_noise,
                                const ModelInfo& model) {
  const bool takes_images = model.wants_image_embeds ||
                            model.known_frames == KnownFrames::MaskChannels ||
                            model.known_frames == KnownFrames::TokenTimesteps;
  const bool says_own_form = candidate.says(takes_images ? "i2v" : "t2v");
  const bool says_other_form = candidate.says(takes_images ? "t2v" : "i2v");
  const bool is_for_expert = model.has_two_experts()
                                 ? candidate.says(low_noise ? "low" : "high")
                                 : !candidate.says("low") && !candidate.says("high");
  return {says_other_form && !says_own_form, !is_for_expert, !says_own_form};
}

// The first of the least strange that fit, one of which every tensor has a place before others.
const Candidate& choose(const Shelf& shelf, bool low_noise, const ModelInfo& model) {
  const auto weights = open_transformer(model.parts.expert(low_noise));
  const char* own = low_noise ? "low" : "high";
  const char* other = low_noise ? "high" : "low";
  std::vector<const Candidate*> candidates;
  for (const Candidate& candidate : shelf.known) {
    if (!model.has_two_experts() || !candidate.says(other) || candidate.says(own))
      candidates.push_back(&candidate);
  }
  const auto strangeness_of = [&](const Candidate* candidate) {
    return strangeness(*candidate, low_noise, model);
  };
  std::ranges::stable_sort(candidates, {}, strangeness_of);
  const Candidate* best = nullptr;
  std::string reason;
  for (const Candidate* candidate : candidates) {
    if (best && strangeness_of(candidate) != strangeness_of(best)) break;
    const Fit found = fit(candidate->file, low_noise, *weights);
    if (found.is_complete) return *candidate;
    if (found.misfit.empty() && !best) best = candidate;
    if (reason.empty()) reason = found.misfit;
  }
  if (!best) fail_without(shelf, model, reason);
  return *best;
}

struct Found {
  fs::path file;
  const Distillation* distillation = nullptr;
};

// The one that the user has given, if any.
Found given_distillation(const std::vector<LoraChoice>& loras, bool low_noise) {
  for (const LoraChoice& lora : loras) {
    if (!lora.expert.empty() && (lora.expert == "low") != low_noise) continue;
    const fs::path path = lora.path;
    const Distillation* known = find_distillation(path.parent_path().filename() / path.filename());
    if (known) return {path, known};
  }
  return {};
}

void take_schedule(const Found& found, ModelInfo& model) {
  const Distillation& distillation = *found.distillation;
  model.defaults.steps = distillation.steps;
  model.defaults.guidance_scale = 1.0;
  if (model.has_two_experts()) model.defaults.guidance_scale_2 = 1.0;
  model.scheduler = {{"_class_name", "FlowMatchEulerDiscreteScheduler"},
                     {"num_train_timesteps", 1000},
                     {"shift", distillation.shift},
                     {"sigmas", distillation.levels}};
  model.notices.push_back(
      fmt::format("turbo: {} is made for {} steps without guidance (Euler, shift {})",
                  found.file.filename().string(), distillation.steps, distillation.shift));
}

}  // namespace

bool has_own_distillation(const fs::path& model) {
  const std::vector<fs::path> files = weight_files_in(model / "loras");
  return std::any_of(files.begin(), files.end(),
                     [](const fs::path& file) { return find_distillation(file.filename()); });
}

void apply_turbo(const ModelFiles& files, ModelInfo& model) {
  const Distillation* own = find_distillation(model.path.filename());
  if (own && fs::is_regular_file(model.path)) return take_schedule({model.path, own}, model);

  const Shelf shelf = look_around(model.path, files);
  Found first;  // whose schedule both experts share
  for (const bool low_noise : {false, true}) {
    if (low_noise && !model.has_two_experts()) break;
    Found found = given_distillation(files.loras, low_noise);
    if (!found.distillation) {
      const Candidate& best = choose(shelf, low_noise, model);
      const char* expert = !model.has_two_experts() ? "" : low_noise ? "low" : "high";
      model.loras.push_back({best.file.string(), 1.0, expert});
      found = {best.file, best.distillation};
    }
    if (!first.distillation) first = found;
  }
  take_schedule(first, model);
}

}  // namespace sora
