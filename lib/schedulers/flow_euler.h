// The first-order flow solver: x += (sigma_next - sigma) * velocity.
#pragma once

#include <memory>

#include "lib/core/config_reader.h"
#include "lib/schedulers/scheduler.h"

namespace sora {

// As diffusers' FlowMatchEulerDiscreteScheduler. Throws Error(Input) as make_scheduler says.
std::unique_ptr<Scheduler> make_flow_euler(const ConfigReader& config);

}  // namespace sora
