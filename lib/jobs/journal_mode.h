// What a new SQLite file of this project keeps its unfinished writes in.
#pragma once

namespace sora {

// Rollback: other machines will write it over a network, though its file system may be this
// machine's own.
enum class JournalMode { LogWherePossible, Rollback };

}  // namespace sora
