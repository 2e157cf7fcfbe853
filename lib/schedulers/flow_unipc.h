// UniPC (Zhao et al. 2023, arXiv 2302.04867) on flow sigmas, predicting the clean sample.
//
// A multistep solver in log(alpha / sigma): each step first corrects the sample it was given by the
// model's newest output (UniC), then predicts the next one from up to three outputs (UniP).
#pragma once

#include <memory>

#include "lib/core/config_reader.h"
#include "lib/schedulers/scheduler.h"

namespace sora {

// As diffusers' UniPCMultistepScheduler with use_flow_sigmas. One difference: the step to sigma 0
// is always of first order without residual, x = clean, where the reference divides by zero and
// returns NaN for solver_type bh1 or lower_order_final false.
// Throws Error(Input) as make_scheduler says.
std::unique_ptr<Scheduler> make_flow_unipc(const ConfigReader& config);

}  // namespace sora
