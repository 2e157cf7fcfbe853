// The names of all files that a job writes under its output's name.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace sora::cli {

// Clips and latents of each variation; of numbered pictures their pattern, frames-1/%05d.png.
std::vector<std::string> output_names(const std::string& output, const std::string& latents,
                                      int variations);

// How many variations of its clip a request asks for.
int variations_of(const Request& request);

// Pictures 1 to `count` of a pattern; of any other name that alone.
std::vector<std::string> picture_names(const std::string& name, int64_t count);

}  // namespace sora::cli
