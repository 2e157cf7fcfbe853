#include "lib/models/wan/lora.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <filesystem>
#include <map>

#include "lib/core/error.h"
#include "lib/models/wan/names.h"
#include "lib/tensor_io/lora_file.h"

namespace sora {
namespace {

std::string flattened(std::string name) {
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

// Kohya's trainers write underscores for dots, which only the model's own names can undo.
std::map<std::string, std::string> modules_by_flat_name(const Checkpoint& model) {
  std::map<std::string, std::string> modules;
  for (const std::string& name : model.names()) {
    const std::string module = name.substr(0, name.rfind('.'));
    modules.emplace(flattened(module), module);
    modules.emplace(flattened(original_transformer_name(module)), module);
  }
  return modules;
}

}  // namespace

WanLoras read_wan_loras(const std::vector<LoraChoice>& choices, bool low_noise,
                        bool has_two_experts, const Checkpoint& model) {
  WanLoras loras;
  auto changes = std::make_shared<TensorChanges>();
  const std::map<std::string, std::string> flat = modules_by_flat_name(model);
  const auto find_module = [&](const LoraName& name) {
    if (!name.flattened) return diffusers_transformer_name(name.module);
    const auto found = flat.find(flattened(name.module));
    return found == flat.end() ? std::string() : found->second;
  };
  for (const LoraChoice& choice : choices) {
    if (!choice.expert.empty() && (choice.expert == "low") != low_noise) continue;
    const LoraMatch match =
        read_lora(choice.path, choice.weight, low_noise, model, find_module, *changes);
    loras.num_unmatched += match.num_unmatched;
    const std::string name = std::filesystem::path(choice.path).filename().string();
    const int64_t total = match.num_matched + match.num_unmatched;
    if (total == 0 && match.num_of_other_expert > 0 && has_two_experts) continue;
    if (match.num_matched == 0) {
      fail(
          ErrorKind::Input,
          "{}: none of its {} tensors has a place in this model{}; is it a LoRA for another model?",
          choice.path, total,
          match.unmatched.empty() ? "" : fmt::format(" (such as \"{}\")", match.unmatched.front()));
    }
    loras.report.push_back(
        fmt::format("LoRA {}: {} of {} tensors matched, weight {}{}", name, match.num_matched,
                    total, choice.weight,
                    match.unmatched.empty()
                        ? ""
                        : fmt::format("; without a place: {}{}", fmt::join(match.unmatched, ", "),
                                      match.num_unmatched > 3 ? ", ..." : "")));
  }
  if (!changes->empty()) loras.changes = std::move(changes);
  return loras;
}

}  // namespace sora
