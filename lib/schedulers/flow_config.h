// The fields that the scheduler configs of diffusers have in common, each read with its limits.
#pragma once

#include <cstdint>

#include "lib/core/config_reader.h"

namespace sora {

// All throw Error(Input) naming the field, its value and what is accepted.

int64_t read_num_train_timesteps(const ConfigReader& config);      // 1 to 1'000'000
double read_shift(const ConfigReader& config, const char* field);  // positive
double read_shift_terminal(const ConfigReader& config);            // in (0, 1); 0 where absent
int64_t read_solver_order(const ConfigReader& config);             // 1 to 3
bool read_final_sigma_is_zero(const ConfigReader& config);         // or the lowest one, repeated

// Refuses a schedule shifted by the image's size: no pipeline of Wan passes it the amount.
void refuse_dynamic_shifting(const ConfigReader& config);

// Refuses a config of the classic diffusion kind, whose noise levels are not in [0, 1], and the
// forms of it that have no meaning for flow.
void require_flow(const ConfigReader& config);

// The lowest and highest noise-to-signal ratio of the classic variance-preserving schedule that the
// beta fields describe. Two flow schedules borrow them: UniPC's Karras levels and the last level of
// DPM-Solver++ with final_sigmas_type sigma_min.
struct SigmaRange {
  double min = 0;
  double max = 0;
};
SigmaRange read_beta_sigma_range(const ConfigReader& config, int64_t num_train_timesteps);

// For schedules that do not borrow them.
void ignore_betas(const ConfigReader& config);

}  // namespace sora
