#include "lib/schedulers/schedule.h"

#include <cmath>

namespace sora {

std::vector<double> linspace(double start, double stop, int count) {
  std::vector<double> points(static_cast<size_t>(count), start);
  if (count < 2) return points;
  const double step = (stop - start) / (count - 1);
  for (int i = 0; i < count; ++i) points[static_cast<size_t>(i)] = i * step + start;
  points.back() = stop;
  return points;
}

double shifted(double sigma, double shift) { return shift * sigma / (1 + (shift - 1) * sigma); }

void stretch_to_terminal(std::vector<double>& sigmas, double terminal) {
  const double scale = (1 - sigmas.back()) / (1 - terminal);
  if (scale == 0) return;
  for (double& sigma : sigmas) sigma = 1 - (1 - sigma) / scale;
}

std::vector<double> karras_sigmas(double max, double min, int count) {
  constexpr double kRho = 7.0;
  const double from = std::pow(max, 1 / kRho);
  const double to = std::pow(min, 1 / kRho);
  std::vector<double> sigmas = linspace(0, 1, count);
  for (double& sigma : sigmas) sigma = std::pow(from + sigma * (to - from), kRho);
  return sigmas;
}

std::vector<double> exponential_sigmas(double max, double min, int count) {
  std::vector<double> sigmas = linspace(std::log(max), std::log(min), count);
  for (double& sigma : sigmas) sigma = std::exp(sigma);
  return sigmas;
}

void round_to_f32(std::vector<double>& values) {
  for (double& value : values) value = static_cast<float>(value);
}

}  // namespace sora
