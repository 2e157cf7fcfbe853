// One clip drawn by several processes, its ranks: this command once more for each, told by the environment variables that
// torchrun sets (RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT).
#pragma once

namespace sora::cli {

inline constexpr int kMaxRanks = 1024;

bool is_rank();        // the environment says which
bool is_first_rank();  // the one that writes and tells

// Starts them on this machine and waits. Where one fails all end, and this process with its exit code; its message has been
// told by itself. Throws Error(Internal) where one was ended by a signal.
void run_as_ranks(int count);

}  // namespace sora::cli
