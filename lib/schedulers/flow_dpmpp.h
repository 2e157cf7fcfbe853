// DPM-Solver++ (Lu et al. 2022, arXiv 2211.01095) on flow sigmas: a multistep solver of the clean
// prediction in log(alpha / sigma), of order 1, 2 (2M) or 3.
#pragma once

#include <memory>

#include "lib/core/config_reader.h"
#include "lib/schedulers/scheduler.h"

namespace sora {

// As diffusers' DPMSolverMultistepScheduler with use_flow_sigmas and algorithm_type dpmsolver++.
// Throws Error(Input) as make_scheduler says.
std::unique_ptr<Scheduler> make_flow_dpmpp(const ConfigReader& config);

}  // namespace sora
