// A device for tests that stands in for a GPU where there is none: it has the rules of one and
// computes on the CPU. What runs on it has every tensor where a GPU would want it. It says nothing
// about the kernels or the memory of a real one.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

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
//
// Note [Asynchronous copies]
// A non-blocking copy to pinned memory of the CPU is done when an event behind it is waited for, or
// its stream is; until then other numbers stand there. It is an error if by then the memory that it
// is from has been freed or written to, or the pinned memory been given another one.
//
// Note [Stand-in graphs]
// It makes graphs (lib/nn/device_graph.h). While one is recorded, what CUDA refuses is an error:
// copies between CPU and device, waiting for it, numbers asked of it, sizes that depend on numbers,
// operators and memory of another stream; and besides, numbers of the CPU, which a recording would
// hold as they are. What is recorded counts as not computed: the memory that it made is spoiled,
// and a replay spoils that of all graphs of its recorder first, then does each operator again on
// the same memory. It is an error if memory from outside the graph has been freed by then, or is
// not made yet. Stricter than CUDA, a recorded operator may not write outside of the graph's
// memory.
at::Device stand_in_device();

// This device, and a GPU where there is one: what both do is tested on both.
std::vector<at::Device> gpu_devices();

// The device that tests of whole networks run on: the CPU, or this one where SORA_TEST_DEVICE is
// "stand-in" (CTest runs them once each way).
at::Device test_device();

// Bytes of its tensors that are alive, and the most that were since the last call of reset.
int64_t stand_in_bytes();
int64_t most_stand_in_bytes();
void reset_most_stand_in_bytes();

// Bytes of pinned memory of the CPU. What is let go counts until the host's allocator is told to
// give it back (HostAllocator::empty_cache), as with CUDA.
int64_t stand_in_pinned_bytes();

// Graphs replayed since the program began.
int64_t stand_in_replays();

}  // namespace sora
