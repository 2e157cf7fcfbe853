// Turns a request into what this model can honour: sizes on its grid, its frame rate, its defaults; and says in one
// line each where that differs from what was asked.
#pragma once

#include <string>
#include <vector>

#include "lib/models/model_info.h"
#include "lib/pipelines/request.h"

namespace sora {

struct Plan {
  // What comes out.
  Size output_size;
  int64_t output_frames = 0;
  Rational output_fps;
  // What the model draws: on its pixel grid, 4n+1 frames.
  Size canvas_size;
  int64_t canvas_frames = 0;
  Rational canvas_fps;
  LatentGrid grid;
  bool scaled = false;  // output is the canvas resized; otherwise it is cut out of its middle

  int steps = 0;
  double guidance_scale = 1.0;
  double guidance_scale_2 = 1.0;
  std::string negative_prompt;
  std::string dtype;  // f32 | bf16
  uint64_t seed = 0;  // of the first variation

  std::vector<std::string> notices;  // where the model's wishes changed the request
};

// The largest area drawn directly is `max_pixels` and a little more, so that 854x480 counts as 832x480.
inline constexpr double kAreaTolerance = 1.05;

// Throws Error(Usage) for what this model cannot do at all. A request without a seed gets a random one.
Plan make_plan(const Request& request, const ModelInfo& model);

// FLOPs of one transformer pass: matrix products and attention scores, 2 a multiply-add.
double transformer_flops(const ModelInfo& model, const LatentGrid& grid);
// FLOPs of the whole loop: passes for guidance included.
double sampling_flops(const ModelInfo& model, const Plan& plan);

}  // namespace sora
