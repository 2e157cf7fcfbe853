// One clip drawn by several processes, its ranks: this command once more for each, told by the
// environment variables that torchrun sets (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT).
#pragma once

#include <functional>

namespace sora::cli {

inline constexpr int kMaxRanks = 1024;

bool is_rank();        // the environment says which
bool is_first_rank();  // the one that writes and tells

// Starts them on this machine and waits. `check` throws what all of them would refuse in the same
// words; it is called before, in a process of its own, so that this one stays small. Where one
// fails all end, and this process with its exit code; its message has been told by itself. Throws
// Error(Internal) where one was ended by a signal.
void run_as_ranks(int count, const std::function<void()>& check);

}  // namespace sora::cli
