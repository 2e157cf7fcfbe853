// The cases of tests/data/scheduler: what diffusers' own schedulers gave for one config.
#pragma once

#include <ATen/ATen.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/core/json_file.h"
#include "lib/schedulers/scheduler.h"
#include "lib/tensor_io/checkpoint.h"

namespace sora {

struct SchedulerCase {
  explicit SchedulerCase(const std::string& case_name)
      : name(case_name),
        description(read_json_file(folder() / (case_name + ".json"))),
        tensors(Checkpoint::open(folder() / (case_name + ".safetensors"))) {}

  static std::filesystem::path folder() {
    return std::filesystem::path(SORA_TEST_DATA) / "scheduler";
  }

  std::unique_ptr<Scheduler> scheduler(const SchedulerOverrides& overrides = {}) const {
    return make_scheduler(description["scheduler_config"], overrides, name);
  }

  std::string name;
  nlohmann::json description;
  Checkpoint tensors;
};

inline std::vector<std::string> scheduler_case_names() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(SchedulerCase::folder())) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

// The formula that stands for the model in the fixtures.
inline at::Tensor fixture_velocity(const at::Tensor& sample, double timestep) {
  return (1.3 * sample).sin() + 0.1f * (static_cast<float>(timestep) / 1000.0f);
}

// Largest difference over the largest magnitude.
inline double relative_error(const at::Tensor& value, const at::Tensor& reference) {
  const at::Tensor wanted = reference.to(at::kDouble);
  return ((value.to(at::kDouble) - wanted).abs().max() / wanted.abs().max()).item<double>();
}

}  // namespace sora
