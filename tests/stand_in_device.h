// A device for tests that stands in for a GPU where there is none: it has the rules of one and
// computes on the CPU. What runs on it has every tensor where a GPU would want it. It says nothing
// about the kernels or the memory of a real one.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace sora {

// Note [Stand-in device]
// torch's PrivateUse1 device, registered by the first call. An operator takes tensors of this
// device alone: one of the CPU among them is an error, but for the numbers without dimensions that
// CUDA's elementwise operators take. It is computed by the CPU's operator, and what it makes is of
// this device. Its addresses cannot be read: code that reaches for the memory of its tensors ends
// by a signal, as it would with a GPU's.
//
// Note [Stand-in streams]
// It has a second stream. Work on either is done at once, but a tensor that was last written on the
// one may be used on the other only after an event recorded behind that has been waited for, as on
// a GPU, else the operator throws.
at::Device stand_in_device();

// The device that tests of whole networks run on: the CPU, or this one where SORA_TEST_DEVICE is
// "stand-in" (CTest runs them once each way).
at::Device test_device();

// Bytes of its tensors that are alive, and the most that were since the last call of reset.
int64_t stand_in_bytes();
int64_t most_stand_in_bytes();
void reset_most_stand_in_bytes();

}  // namespace sora
