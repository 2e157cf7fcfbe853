#include "lib/models/turbo.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <optional>
#include <vector>

#include "lib/core/error.h"
#include "lib/models/model_finder.h"
#include "lib/models/wan/lora.h"
#include "lib/models/wan/parts.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

struct DistillationRow {
  std::string_view name;  // in the file's name, lower case
  int steps;
  double shift;
};

// As the authors' own workflows run them. The last is the built-in model's, from scripts/train/stage_turbo.py.
constexpr DistillationRow kDistillations[] = {
    {"lightx2v", 4, 5.0},     {"lightning", 4, 5.0},    {"step_distill", 4, 5.0},
    {"self_forcing", 4, 5.0}, {"self-forcing", 4, 5.0}, {"selfforcing", 4, 5.0},
    {"causvid", 6, 8.0},      {"fastwan", 3, 8.0},      {"sora-turbo", 4, 8.0},
};

std::string lower_name(const fs::path& path) {
  std::string name = path.filename().string();
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return name;
}

const DistillationRow* row_of(const fs::path& path) {
  const std::string name = lower_name(path);
  for (const DistillationRow& row : kDistillations) {
    if (name.find(row.name) != std::string::npos) return &row;
  }
  return nullptr;
}

bool fits(const fs::path& lora, bool low_noise, const Checkpoint& model) {
  try {
    read_wan_loras({{lora.string(), 1.0, ""}}, low_noise, model);
    return true;
  } catch (const Error&) {
    return false;  // for a model of another size, or no LoRA at all
  }
}

void take_schedule(const DistillationRow& row, ModelInfo& model) {
  model.defaults.steps = row.steps;
  model.defaults.guidance_scale = 1.0;
  if (model.has_two_experts()) model.defaults.guidance_scale_2 = 1.0;
  model.scheduler = {{"_class_name", "FlowMatchEulerDiscreteScheduler"},
                     {"num_train_timesteps", 1000},
                     {"shift", row.shift}};
}

}  // namespace

void apply_turbo(const ModelFiles& files, ModelInfo& model) {
  if (const DistillationRow* row = row_of(model.path); row && fs::is_regular_file(model.path)) {
    model.notices.push_back(
        fmt::format("{} is a distilled model by its name", model.path.string()));
    return take_schedule(*row, model);
  }
  const std::vector<fs::path> folders = lora_folders(model.path, files);
  std::vector<fs::path> candidates;
  for (const fs::path& folder : folders) {
    for (const fs::path& file : weight_files_in(folder)) {
      if (row_of(file)) candidates.push_back(file);
    }
  }
  const DistillationRow* chosen = nullptr;
  for (const bool low_noise : {false, true}) {
    if (low_noise && !model.has_two_experts()) break;
    const auto weights = open_transformer(model.parts.expert(low_noise));
    // One made for this expert comes before one that says nothing.
    const auto says = [](const fs::path& file, const char* word) {
      return lower_name(file).find(word) != std::string::npos;
    };
    const fs::path* best = nullptr;
    for (const fs::path& file : candidates) {
      if (says(file, low_noise ? "high" : "low") && model.has_two_experts()) continue;
      if (!fits(file, low_noise, *weights)) continue;
      if (!best ||
          (says(file, low_noise ? "low" : "high") && !says(*best, low_noise ? "low" : "high")))
        best = &file;
    }
    if (!best) {
      std::vector<std::string> places;
      for (const fs::path& folder : folders) places.push_back(folder.string());
      fail(ErrorKind::NotFound,
           "--turbo needs a LoRA that distils {}, and there is none that fits in {}; known are "
           "lightx2v, Lightning, CausVid, self-forcing, FastWan and sora-turbo",
           model.name, fmt::join(places, ", "));
    }
    const char* expert = !model.has_two_experts() ? "" : low_noise ? "low" : "high";
    model.loras.push_back({best->string(), 1.0, expert});
    if (!chosen) chosen = row_of(*best);
  }
  take_schedule(*chosen, model);
}

}  // namespace sora
