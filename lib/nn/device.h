// Where a clip is computed. Noise, masks, timesteps and frames are the CPU's in any case.
#pragma once

#include <c10/core/Device.h>

#include <string>
#include <vector>

namespace sora {

// "cpu", "cuda", or "auto": the GPU where there is one. Throws Error(Usage) for another name, and
// for "cuda" where no GPU can be used.
at::Device choose_device(const std::string& wish);

// Which of the machine's GPUs is that of a rank (lib/nn/ranks.h), one of several here. Throws
// Error(Usage) where there are fewer GPUs than ranks.
at::Device gpu_of(int local_rank, int num_local_ranks, int num_gpus);

// What --device takes here.
std::vector<std::string> device_names();

// "cpu" or "cuda", as --device names it.
std::string device_name(at::Device device);

}  // namespace sora
