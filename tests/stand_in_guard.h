// How libtorch asks the stand-in device for its streams, events and pinned memory. For its own
// files.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace sora::stand_in {

void register_guard();

// Whether a tensor of the CPU lies in memory that was asked for as pinned.
bool is_pinned(const at::Tensor& tensor);

int64_t pinned_bytes();

}  // namespace sora::stand_in
