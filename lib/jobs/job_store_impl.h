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
      : database(path, kJournalSchema, kJournalVersion, journal), self_(self) {
    if (has_all_columns()) return;
    database.write([&](SQLite::Database& db) {
      for (const char* column : kLaterColumns) {
        if (!has_column(db, column))
          db.exec(fmt::format("ALTER TABLE jobs ADD COLUMN {} INTEGER NOT NULL DEFAULT 0", column));
      }
    });
  }

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
  static bool has_column(SQLite::Database& db, const char* column) {
    SQLite::Statement query(db, "SELECT 1 FROM pragma_table_info('jobs') WHERE name = ?");
    query.bind(1, column);
    return query.executeStep();
  }
  bool has_all_columns() {
    bool has_all = true;
    database.read([&](SQLite::Database& db) {
      for (const char* column : kLaterColumns) has_all = has_all && has_column(db, column);
    });
    return has_all;
  }

  const ProcessIdentity& self_;
};

}  // namespace sora
