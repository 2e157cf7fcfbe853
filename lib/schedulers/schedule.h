// The noise levels a denoise loop visits, and the curves that place them.
//
// Flow matching: x(sigma) = (1 - sigma) * clean + sigma * noise, sigma in [0, 1], and the model
// predicts the velocity noise - clean. Sampling walks sigma from near 1 to near 0.
#pragma once

#include <vector>

namespace sora {

struct Schedule {
  std::vector<double> timesteps;  // what the model is told, about sigma * num_train_timesteps
  std::vector<double> sigmas;     // one more than timesteps: the last is where the last step ends

  int num_steps() const { return static_cast<int>(timesteps.size()); }
};

// `count` points from start to stop, both included; count 1 gives start.
std::vector<double> linspace(double start, double stop, int count);

// shift * sigma / (1 + (shift - 1) * sigma): shift > 1 spends more of the steps at high noise.
double shifted(double sigma, double shift);

// Stretches 1 - sigma so that the last sigma becomes `terminal`, in (0, 1). A schedule whose only
// level is 1 is returned as it is: it has no second point to stretch towards.
void stretch_to_terminal(std::vector<double>& sigmas, double terminal);

// `count` levels from `max` to `min`, evenly spaced in sigma^(1/7) (Karras et al. 2022, eq. 5).
std::vector<double> karras_sigmas(double max, double min, int count);

// `count` levels from `max` to `min`, evenly spaced in log(sigma).
std::vector<double> exponential_sigmas(double max, double min, int count);

// Every value rounded to f32: the precision in which the reference keeps its sigmas.
void round_to_f32(std::vector<double>& values);

}  // namespace sora
