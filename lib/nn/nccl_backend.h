// NCCL between the GPUs of ranks, of a library of its own (lib/nn/nccl), which is loaded when it is
// asked for: it links libtorch's CUDA half, which no CPU has a use for.
#pragma once

#include <c10/util/intrusive_ptr.h>

namespace c10d {
class Backend;
class Store;
}  // namespace c10d

namespace sora {

inline constexpr const char* kNcclLibrary = "libsora_nccl.so";
inline constexpr const char* kMakeNccl = "sora_make_nccl_backend";
// What stands under that name there. The caller owns one reference; may throw.
using MakeNccl = c10d::Backend*(const c10::intrusive_ptr<c10d::Store>& store, int rank, int size);

}  // namespace sora
