// An SQLite file as this project opens one: a new one has a write-ahead log, or, because that does
// not work on the network file systems that clusters share, a rollback journal there. Writers take
// turns in the order they came.
#pragma once

#include <SQLiteCpp/SQLiteCpp.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "lib/core/file_lock.h"
#include "lib/jobs/journal_mode.h"

namespace sora {

class JobDatabase {
 public:
  // Creates the file and its folder where they are missing and brings it to `schema`, a script of
  // CREATE ... IF NOT EXISTS; `version` is kept in the file. One that may only be read is opened
  // for that. Throws Error(Io) where it cannot be made, or has a write-ahead log on a network file
  // system that cannot be closed, Error(Input) where it is no database of this program or one of a
  // later version.
  JobDatabase(const std::filesystem::path& path, const char* schema, int version,
              JournalMode journal = JournalMode::LogWherePossible);

  // Eventual: holds through the death of any process, but a power cut may take back the last of
  // them, in order. OnDisk: holds through that too, with all before it.
  enum class Durability { Eventual, OnDisk };

  // Runs `work` alone among all processes; all that it wrote is there when this returns, or nothing
  // is. SQLite's errors come out as Error(Io), naming the file.
  void write(const std::function<void(SQLite::Database&)>& work,
             Durability durability = Durability::Eventual);
  void read(const std::function<void(SQLite::Database&)>& work);

  const std::filesystem::path& path() const { return path_; }

 private:
  bool begins_log(bool is_new, bool is_shared, JournalMode journal);
  [[noreturn]] void fail_with(const SQLite::Exception& error) const;

  std::filesystem::path path_;
  FileLock turn_;  // held by the process whose turn it is
  std::unique_ptr<SQLite::Database> database_;
  bool has_log_ = false;
};

}  // namespace sora
