// Time is FLOPs over a measured matrix rate; the share of that rate a whole step reaches was read
// off docs/performance.md.
#include "lib/pipelines/plan_report.h"

#include <ATen/ATen.h>

#include <chrono>
#include <cmath>

#include "kernels/cpu/processor.h"
#include "kernels/linear.h"
#include "lib/nn/device.h"

namespace sora {
namespace {

// With a matrix unit what lies between the products counts for more.
double step_share_of_matrix_rate(const Plan& plan) {
  using kernels::cpu::Processor;
  return plan.device.is_cpu() && !kernels::cpu::has(Processor::Amx) ? 0.8 : 0.5;
}

double estimated_seconds(const Plan& plan, const ModelInfo& model, double matrix_rate) {
  return sampling_flops(model, plan) / (matrix_rate * step_share_of_matrix_rate(plan));
}

nlohmann::json sound_of(const Layout& layout) {
  nlohmann::json list = nlohmann::json::array();
  for (const Heard& heard : layout.heard) {
    list.push_back({{"start", heard.frames.start},
                    {"stop", heard.frames.stop},
                    {"source", heard.source->name()}});
  }
  return list;
}

}  // namespace

double measure_matrix_rate(const Plan& plan) {
  const int64_t side = plan.device.is_cpu() ? 1024 : 8192;  // enough work for what starts slowly
  constexpr int kRepeats = 4;
  const at::TensorOptions options = at::dtype(scalar_type(plan.dtype)).device(plan.device);
  const at::Tensor a = at::ones({side, side}, options);
  const at::Tensor packed = kernels::pack(a);
  const auto multiply = [&] {
    return kernels::linear(a, a, {}, kernels::Activation::None, packed);
  };
  at::Tensor product = multiply();
  const auto wait = [&] { product[0][0].item(); };  // a GPU works on while the caller goes on
  wait();
  const auto start = std::chrono::steady_clock::now();
  for (int repeat = 0; repeat < kRepeats; ++repeat) product = multiply();
  wait();
  const std::chrono::duration<double> elapsed = std::chrono::steady_clock::now() - start;
  return 2.0 * kRepeats * std::pow(static_cast<double>(side), 3) / elapsed.count();
}

std::vector<std::string> describe(const Plan& plan, const ModelInfo& model,
                                  const MemoryPlan& memory, const Canvas& canvas,
                                  double matrix_rate) {
  std::vector<std::string> lines;
  lines.push_back(fmt::format("model     {} ({})", model.name, model.path.string()));
  lines.push_back(fmt::format("output    {} at {} a second, {} frames, {:.2f} s",
                              to_string(plan.output_size), to_string(plan.output_fps),
                              plan.output_frames,
                              static_cast<double>(plan.output_frames) / plan.output_fps.value()));
  lines.push_back(fmt::format("canvas    {} at {} a second, {} frames, {} tokens",
                              to_string(plan.canvas_size), to_string(plan.canvas_fps),
                              plan.canvas_frames, plan.grid.num_tokens()));
  for (const std::string& segment : canvas.describe()) lines.push_back("segment   " + segment);
  for (const Heard& heard : plan.layout.heard) {
    lines.push_back(fmt::format("sound     output frames {}-{} from {}", heard.frames.start,
                                heard.frames.stop, heard.source->name()));
  }
  lines.push_back(fmt::format("sampling  {} steps, guidance {}, {} on {}", plan.steps,
                              plan.guidance_scale, plan.dtype, device_name(plan.device)));
  lines.push_back(fmt::format("work      {:.3g} TFLOP, about {:.0f} s here",
                              sampling_flops(model, plan) / 1e12,
                              estimated_seconds(plan, model, matrix_rate)));
  lines.push_back("memory    " + memory.describe());
  for (const std::string& notice : plan.notices) lines.push_back("note      " + notice);
  return lines;
}

nlohmann::json to_json(const Plan& plan, const ModelInfo& model, const MemoryPlan& memory,
                       const Canvas& canvas, double matrix_rate) {
  return {{"schema", 1},
          {"model", model.name},
          {"output",
           {{"size", to_string(plan.output_size)},
            {"fps", to_string(plan.output_fps)},
            {"num_frames", plan.output_frames}}},
          {"canvas",
           {{"size", to_string(plan.canvas_size)},
            {"fps", to_string(plan.canvas_fps)},
            {"num_frames", plan.canvas_frames},
            {"tokens", plan.grid.num_tokens()},
            {"segments", canvas.describe()}}},
          {"sound", sound_of(plan.layout)},
          {"steps", plan.steps},
          {"guidance_scale", plan.guidance_scale},
          {"dtype", plan.dtype},
          {"device", device_name(plan.device)},
          {"flop", sampling_flops(model, plan)},
          {"seconds", estimated_seconds(plan, model, matrix_rate)},
          {"memory_bytes", memory.peak()},
          {"memory",
           {{"limit", memory.limit},
            {"text", memory.text},
            {"encode", memory.encode},
            {"sample", memory.sample},
            {"decode", memory.decode},
            {"layers_streamed", memory.placement.streams_blocks()},
            {"frames_in_tiles", memory.placement.tile_frames},
            {"networks_kept", memory.placement.keeps_networks}}},
          {"notices", plan.notices}};
}

}  // namespace sora
