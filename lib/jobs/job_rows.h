// Jobs as rows of the store's database.
#pragma once

#include <string>
#include <vector>

#include "lib/jobs/database.h"
#include "lib/jobs/job.h"

namespace sora {

inline constexpr int kJournalVersion = 1;
inline constexpr const char* kJournalSchema = R"sql(
CREATE TABLE jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  key TEXT NOT NULL UNIQUE,
  command TEXT NOT NULL,
  output TEXT NOT NULL,
  model TEXT NOT NULL,
  place TEXT NOT NULL,
  lane INTEGER NOT NULL,
  owner TEXT NOT NULL,
  max_tries INTEGER NOT NULL,
  max_running INTEGER NOT NULL,
  details TEXT NOT NULL,
  state TEXT NOT NULL DEFAULT 'pending',
  cancel_wanted INTEGER NOT NULL DEFAULT 0,
  tries INTEGER NOT NULL DEFAULT 0,
  not_before_s REAL NOT NULL DEFAULT 0,
  host TEXT NOT NULL DEFAULT '',
  pid INTEGER NOT NULL DEFAULT 0,
  start_time INTEGER NOT NULL DEFAULT 0,
  lease_until_s REAL NOT NULL DEFAULT 0,
  phase TEXT NOT NULL DEFAULT '',
  progress REAL NOT NULL DEFAULT 0,
  files TEXT NOT NULL DEFAULT '[]',
  result TEXT NOT NULL DEFAULT 'null',
  error_kind TEXT NOT NULL DEFAULT '',
  error TEXT NOT NULL DEFAULT '',
  added_s REAL NOT NULL,
  started_s REAL NOT NULL DEFAULT 0,
  finished_s REAL NOT NULL DEFAULT 0,
  finish_number INTEGER NOT NULL DEFAULT 0,
  losses INTEGER NOT NULL DEFAULT 0,
  force INTEGER NOT NULL DEFAULT 0
);
CREATE INDEX jobs_by_state ON jobs(state, lane);
CREATE INDEX jobs_by_output ON jobs(output);
CREATE INDEX jobs_by_finish ON jobs(finish_number);
CREATE TABLE members (
  batch TEXT NOT NULL,
  position INTEGER NOT NULL,
  job INTEGER NOT NULL REFERENCES jobs(id) ON DELETE CASCADE,
  PRIMARY KEY (batch, job)
) WITHOUT ROWID;
CREATE INDEX members_by_job ON members(job);
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
)sql";

// What job_of reads, in its order, of `jobs j`.
inline constexpr const char* kColumns =
    "j.id, j.key, j.command, j.output, j.model, j.place, j.lane, j.owner, j.max_tries, "
    "j.max_running, j.details, j.state, "
    "j.tries, j.phase, j.progress, j.files, j.result, j.error_kind, j.error, j.added_s, "
    "j.started_s, j.finished_s, "
    "j.finish_number, j.losses, j.force";

// Columns that came later; a program that does not know them goes on without.
inline constexpr const char* kLaterColumns[] = {"losses", "force"};

double now_s();  // since 1970

nlohmann::json to_json(const std::vector<JobFile>& files);
JobState state_named(const std::string& name);

Job job_of(SQLite::Statement& row);
std::vector<Job> jobs_of(SQLite::Statement& query);

// The id of the new row, or of the one that has the job's key already.
int64_t insert(SQLite::Database& database, const NewJob& job);

}  // namespace sora
