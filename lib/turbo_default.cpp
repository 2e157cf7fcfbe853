#include "lib/turbo_default.h"

#include <variant>

#include "lib/models/model_finder.h"
#include "lib/models/registry.h"

namespace sora {
namespace {

// Few steps leave no room for more of them, for guidance or for another way of sampling; and what
// is joined, told in cards or led by pictures was tried with the whole model only.
bool may_be_turbo(const Request& request) {
  const auto* generate = std::get_if<GenerateRequest>(&request.operation);
  if (generate == nullptr || generate->loop || !generate->storyboard.empty() ||
      !generate->references.empty() || !generate->control.empty())
    return false;
  const Sampling& sampling = request.sampling;
  const bool is_open = !sampling.steps && !sampling.guidance_scale && !sampling.guidance_scale_2 &&
                       !sampling.guidance_interval && !sampling.cache_threshold &&
                       !sampling.negative_prompt && !sampling.scheduler && !sampling.shift;
  return is_open && !request.runtime.files.turbo && request.runtime.files.loras.empty();
}

}  // namespace

Request with_turbo_default(Request request, const std::filesystem::path& built_in) {
  const Runtime& wish = request.runtime;
  if (may_be_turbo(request) && prefers_turbo(find_model(wish.model, built_in, wish.files)))
    request.runtime.files.turbo = true;
  return request;
}

}  // namespace sora
