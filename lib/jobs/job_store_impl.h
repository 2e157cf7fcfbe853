// What the files that implement JobStore share.
#pragma once

#include <fmt/format.h>

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "lib/jobs/database.h"
#include "lib/jobs/job_rows.h"
#include "lib/jobs/job_store.h"

namespace sora {

class JobStore::Impl {
 public:
  Impl(const std::filesystem::path& path, JournalMode journal, const ProcessIdentity& self)
      : database(path, kJournalSchema, kJournalVersion, journal), self_(self) {}

  void bind_self(SQLite::Statement& statement) const {
    statement.bind(":host", self_.host);
    statement.bind(":pid", self_.pid);
    statement.bind(":start", self_.start_time);
  }

  static constexpr const char* kMine =
      "id = :id AND state IN ('running', 'made') AND host = :host AND pid = :pid AND start_time = "
      ":start";

  // Runs an UPDATE of one job that this process leases; `bind` adds its values.
  template <typename Bind>
  bool update_mine(int64_t id, const std::string& set, Bind bind,
                   JobDatabase::Durability durability = JobDatabase::Durability::Eventual) {
    bool changed = false;
    database.write(
        [&](SQLite::Database& db) {
          SQLite::Statement statement(db, fmt::format("UPDATE jobs SET {} WHERE {}", set, kMine));
          statement.bind(":id", id);
          bind_self(statement);
          bind(statement);
          changed = statement.exec() > 0;
        },
        durability);
    return changed;
  }

  std::vector<Job> query(const std::string& rest,
                         const std::function<void(SQLite::Statement&)>& bind) {
    std::vector<Job> jobs;
    database.read([&](SQLite::Database& db) {
      SQLite::Statement statement(db, fmt::format("SELECT {} FROM jobs j {}", kColumns, rest));
      bind(statement);
      jobs = jobs_of(statement);
    });
    return jobs;
  }

  JobDatabase database;

 private:
  const ProcessIdentity& self_;
};

}  // namespace sora
