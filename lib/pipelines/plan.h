// Turns a request into what this model can honour: sizes on its grid, its frame rate, its defaults;
// and says in one line each where that differs from what was asked.
#pragma once

#include <c10/core/Device.h>

#include <optional>
#include <string>
#include <vector>

#include "lib/models/model_info.h"
#include "lib/nn/arithmetic.h"
#include "lib/pipelines/layout.h"
#include "lib/pipelines/request.h"
#include "lib/pipelines/windows.h"

namespace sora {

struct Plan {
  Layout layout;
  // What comes out.
  Size output_size;
  int64_t output_frames = 0;
  Rational output_fps;
  // What the model draws: on its pixel grid, in windows of 4n+1 frames.
  Size canvas_size;
  int64_t canvas_frames = 0;  // up to the end of the last window
  Rational canvas_fps;
  std::vector<Window> windows;  // in the order in which they are drawn; none where all is known
  LatentGrid grid;              // of the largest window
  bool scaled = false;  // output is the canvas resized; otherwise it is cut out of its middle

  std::optional<std::string> scheduler;  // empty: the model's own
  int steps = 0;
  int steps_sampled = 0;  // of them: those from the level on down to which sources are followed
  int passes = 0;         // of the transformer, in all of those of a window
  int variations = 1;
  double guidance_scale = 1.0;
  double guidance_scale_2 = 1.0;
  double edit_guidance = 1.0;  // of the edit methods: the new text's scale over the other
  GuidanceInterval guidance_interval;
  double cache_threshold = 0;               // step_cache.h; 0: no cache
  std::optional<double> boundary_timestep;  // between two experts
  std::string negative_prompt;
  at::Device device = at::kCPU;    // of all networks (lib/nn/device.h)
  std::string dtype;               // f32 | bf16 | int8
  std::string attention = "auto";  // auto | torch | sora | int8
  bool cuda_graph = false;         // passes of the transformer are recorded and replayed
  std::optional<bool> tiled;       // frames in the VAE, as a recipe says; empty: as memory asks
  uint64_t seed = 0;               // of the first variation

  std::vector<std::string> notices;  // where the model's wishes changed the request
};

// The largest area drawn directly is `max_pixels` and a little more, so that 854x480 counts as
// 832x480.
inline constexpr double kAreaTolerance = 1.05;

// Of weights and hidden states where a plan's dtype is this one.
at::ScalarType scalar_type(const std::string& dtype);
// Of the transformer.
Arithmetic arithmetic_of(const Plan& plan);

// The operation's page for this request.
Layout make_layout(const Request& request, const ModelInfo& model);

// The time of a canvas frame, in output frames.
double output_position(const Plan& plan, int64_t canvas_frame);
// The first frame at rate `to` that is not before a frame at rate `from`.
int64_t frame_at_rate(int64_t frame, Rational from, Rational to);
// The first canvas frame that is not before an output frame.
int64_t canvas_frame_of(const Plan& plan, int64_t output_frame);
// The canvas frames, of `num_frames`, that show a placement. One between its last output frame and
// the next is among them only where nobody has to draw that one: it is known too, lies past the end
// or beyond a cut.
Stretch on_canvas(const Plan& plan, const Shot& placement, int64_t num_frames);

// The latents of a window of so many frames, those of reference pictures in front included.
LatentGrid drawn_grid(const Plan& plan, int64_t num_frames);

// Throws Error(Usage) for what this model cannot do at all. A request without a seed gets a random
// one.
Plan make_plan(const Request& request, const ModelInfo& model);

// Pictures that the model's image encoder looks at: none, the first, or the first and the last.
size_t num_pictures_seen(const ModelInfo& model);
// Throws Error(Usage) where the clip would be drawn without them.
void check_pictures(const Request& request, const ModelInfo& model, const Plan& plan);

// FLOPs of one transformer pass: matrix products and attention scores, 2 a multiply-add.
double transformer_flops(const ModelInfo& model, const LatentGrid& grid);
// FLOPs of the whole loop, of all variations: passes for guidance included.
double sampling_flops(const ModelInfo& model, const Plan& plan);

}  // namespace sora
