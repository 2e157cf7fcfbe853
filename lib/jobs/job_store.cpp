#include "lib/jobs/job_store.h"

#include <algorithm>
#include <chrono>

#include "lib/jobs/database.h"

namespace sora {
namespace {

// A lease of a process on another machine holds this long after its last renewal.
constexpr double kLease_s = 120;

constexpr int kJournalVersion = 1;
constexpr const char* kJournalSchema = R"sql(
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
  finish_number INTEGER NOT NULL DEFAULT 0
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

constexpr const char* kColumns =
    "j.id, j.key, j.command, j.output, j.model, j.place, j.lane, j.owner, j.max_tries, "
    "j.max_running, j.details, j.state, "
    "j.tries, j.phase, j.progress, j.files, j.result, j.error_kind, j.error, j.added_s, "
    "j.started_s, j.finished_s, "
    "j.finish_number";

// Jobs that could start now: waited for long enough after a failed try, and their owner has a slot
// free.
constexpr const char* kRunnable =
    "NOT EXISTS (SELECT 1 FROM settings WHERE name = 'paused' AND value = '1') AND j.state = 'pending' AND j.not_before_s <= :now AND (j.max_running = 0 OR (SELECT count(*) "
    "FROM jobs r WHERE r.owner = "
    "j.owner AND r.state IN ('running', 'made')) < j.max_running)";

// Of lent jobs: no process has such an identity, and the lease never ends by itself.
std::string host_of(const std::string& borrower) { return "lent-to:" + borrower; }
constexpr double kForever_s = 1e15;

constexpr const char* kMine = "host = :host AND pid = :pid AND start_time = :start";

double now_s() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

nlohmann::json to_json(const std::vector<JobFile>& files) {
  nlohmann::json list = nlohmann::json::array();
  for (const JobFile& file : files) {
    list.push_back({{"name", file.name},
                    {"bytes", file.bytes},
                    {"mtime_ns", file.mtime_ns},
                    {"sha256", file.sha256}});
  }
  return list;
}

std::vector<JobFile> files_from_json(const nlohmann::json& list) {
  std::vector<JobFile> files;
  for (const nlohmann::json& file : list)
    files.push_back({file.at("name"), file.at("bytes"), file.at("mtime_ns"), file.at("sha256")});
  return files;
}

JobState state_named(const std::string& name) {
  for (const JobState state :
       {JobState::Pending, JobState::Running, JobState::Made, JobState::Done, JobState::Failed}) {
    if (to_string(state) == name) return state;
  }
  return JobState::Cancelled;
}

Job job_of(SQLite::Statement& row) {
  Job job;
  int column = 0;
  const auto text = [&] { return row.getColumn(column++).getString(); };
  const auto whole = [&] { return row.getColumn(column++).getInt64(); };
  const auto real = [&] { return row.getColumn(column++).getDouble(); };
  job.id = whole();
  job.key = text();
  job.command = nlohmann::json::parse(text()).get<std::vector<std::string>>();
  job.output = text();
  job.model = text();
  job.place = text();
  job.lane = whole() == 0 ? Lane::Priority : Lane::Relaxed;
  job.owner = text();
  job.max_tries = whole();
  job.max_running = whole();
  job.details = nlohmann::json::parse(text());
  job.state = state_named(text());
  job.tries = whole();
  job.phase = text();
  job.progress = real();
  job.files = files_from_json(nlohmann::json::parse(text()));
  job.result = nlohmann::json::parse(text());
  job.error_kind = text();
  job.error = text();
  job.added_s = real();
  job.started_s = real();
  job.finished_s = real();
  job.finish_number = whole();
  return job;
}

std::vector<Job> jobs_of(SQLite::Statement& query) {
  std::vector<Job> jobs;
  while (query.executeStep()) jobs.push_back(job_of(query));
  return jobs;
}

void count(JobCounts& counts, const std::string& state, int64_t number) {
  switch (state_named(state)) {
    case JobState::Pending:
      counts.pending += number;
      break;
    case JobState::Running:
    case JobState::Made:
      counts.running += number;
      break;
    case JobState::Done:
      counts.done += number;
      break;
    case JobState::Failed:
      counts.failed += number;
      break;
    case JobState::Cancelled:
      counts.cancelled += number;
      break;
  }
}

int64_t insert(SQLite::Database& database, const NewJob& job) {
  SQLite::Statement known(database, "SELECT id FROM jobs WHERE key = ?");
  known.bind(1, job.key);
  if (known.executeStep()) return known.getColumn(0).getInt64();
  SQLite::Statement statement(
      database,
      "INSERT INTO jobs (key, command, output, model, place, lane, owner, max_tries, max_running, "
      "details, added_s) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
  statement.bind(1, job.key);
  statement.bind(2, nlohmann::json(job.command).dump());
  statement.bind(3, job.output);
  statement.bind(4, job.model);
  statement.bind(5, job.place);
  statement.bind(6, job.lane == Lane::Priority ? 0 : 1);
  statement.bind(7, job.owner);
  statement.bind(8, job.max_tries);
  statement.bind(9, job.max_running);
  statement.bind(10, job.details.dump());
  statement.bind(11, now_s());
  statement.exec();
  return database.getLastInsertRowid();
}

}  // namespace

std::string_view to_string(JobState state) {
  switch (state) {
    case JobState::Pending:
      return "pending";
    case JobState::Running:
      return "running";
    case JobState::Made:
      return "made";
    case JobState::Done:
      return "done";
    case JobState::Failed:
      return "failed";
    case JobState::Cancelled:
      return "cancelled";
  }
  return "unknown";
}

std::string_view to_string(Lane lane) { return lane == Lane::Priority ? "priority" : "relaxed"; }

class JobStore::Impl {
 public:
  Impl(const std::filesystem::path& path, const ProcessIdentity& self)
      : database(path, kJournalSchema, kJournalVersion), self_(self) {}

  void bind_self(SQLite::Statement& statement) const {
    statement.bind(":host", self_.host);
    statement.bind(":pid", self_.pid);
    statement.bind(":start", self_.start_time);
  }

  // Runs an UPDATE of one job that this process leases; `bind` adds its values.
  template <typename Bind>
  bool update_mine(int64_t id, const std::string& set, Bind bind,
                   JobDatabase::Durability durability = JobDatabase::Durability::Eventual) {
    bool changed = false;
    database.write(
        [&](SQLite::Database& db) {
          SQLite::Statement statement(
              db, fmt::format(
                      "UPDATE jobs SET {} WHERE id = :id AND state IN ('running', 'made') AND {}",
                      set, kMine));
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

JobStore::JobStore(const std::filesystem::path& path) : self_(ProcessIdentity::own()) {
  impl_ = std::make_unique<Impl>(path, self_);
}

JobStore::~JobStore() = default;

const std::filesystem::path& JobStore::path() const { return impl_->database.path(); }

std::vector<int64_t> JobStore::set_batch(const std::string& batch,
                                         const std::vector<NewJob>& jobs) {
  std::vector<int64_t> ids;
  impl_->database.write([&](SQLite::Database& db) {
    SQLite::Statement clear(db, "DELETE FROM members WHERE batch = ?");
    clear.bind(1, batch);
    clear.exec();
    SQLite::Statement member(db, "INSERT INTO members (batch, position, job) VALUES (?, ?, ?)");
    for (const NewJob& job : jobs) {
      ids.push_back(insert(db, job));
      member.reset();
      member.bind(1, batch);
      member.bind(2, static_cast<int64_t>(ids.size()));
      member.bind(3, ids.back());
      member.exec();
    }
    db.exec(
        "DELETE FROM jobs WHERE state IN ('pending', 'failed', 'cancelled') AND NOT EXISTS (SELECT "
        "1 FROM members m WHERE m.job = jobs.id)");
  });
  return ids;
}

int64_t JobStore::add(const NewJob& job) {
  int64_t id = 0;
  impl_->database.write([&](SQLite::Database& db) { id = insert(db, job); });
  return id;
}

namespace {

std::string next_jobs(const ClaimWishes& wishes) {
  const std::string order = "j.lane, (j.model <> :model), ";
  if (wishes.batch.empty()) return fmt::format("WHERE {} ORDER BY {} j.id", kRunnable, order);
  return fmt::format(
      "JOIN members m ON m.job = j.id AND m.batch = :batch WHERE {} ORDER BY {} m.position",
      kRunnable, order);
}

void bind_wishes(SQLite::Statement& statement, const ClaimWishes& wishes) {
  statement.bind(":now", now_s());
  statement.bind(":model", wishes.loaded_model);
  if (!wishes.batch.empty()) statement.bind(":batch", wishes.batch);
}

}  // namespace

std::optional<Job> JobStore::claim(const ClaimWishes& wishes) {
  std::optional<Job> job;
  impl_->database.write([&](SQLite::Database& db) {
    SQLite::Statement next(
        db, fmt::format("SELECT {} FROM jobs j {} LIMIT 1", kColumns, next_jobs(wishes)));
    bind_wishes(next, wishes);
    if (!next.executeStep()) return;
    job = job_of(next);
    job->state = JobState::Running;
    ++job->tries;
    SQLite::Statement lease(db,
                            "UPDATE jobs SET state = 'running', tries = tries + 1, host = :host, "
                            "pid = :pid, start_time = :start, "
                            "lease_until_s = :until, started_s = :now, finished_s = 0, phase = '', "
                            "progress = 0 WHERE id = :id");
    impl_->bind_self(lease);
    lease.bind(":until", now_s() + kLease_s);
    lease.bind(":now", now_s());
    lease.bind(":id", job->id);
    lease.exec();
  });
  return job;
}

std::vector<Job> JobStore::upcoming(const ClaimWishes& wishes, int64_t limit) {
  return impl_->query(next_jobs(wishes) + " LIMIT :limit", [&](SQLite::Statement& statement) {
    bind_wishes(statement, wishes);
    statement.bind(":limit", limit);
  });
}

bool JobStore::renew(int64_t id, const std::string& phase, double progress) {
  return impl_->update_mine(id, "lease_until_s = :until, phase = :phase, progress = :progress",
                            [&](SQLite::Statement& statement) {
                              statement.bind(":until", now_s() + kLease_s);
                              statement.bind(":phase", phase);
                              statement.bind(":progress", progress);
                            });
}

bool JobStore::mark_made(int64_t id, const std::vector<JobFile>& files,
                         const nlohmann::json& result) {
  // On the disk before any file has its name: after a power cut a name that is taken is known to be
  // ours.
  return impl_->update_mine(
      id, "state = 'made', files = :files, result = :result, progress = 1",
      [&](SQLite::Statement& statement) {
        statement.bind(":files", to_json(files).dump());
        statement.bind(":result", result.dump());
      },
      JobDatabase::Durability::OnDisk);
}

bool JobStore::mark_done(int64_t id, const std::vector<JobFile>& files) {
  return impl_->update_mine(
      id,
      "state = 'done', files = :files, error = '', error_kind = '', finished_s = :now, "
      "finish_number = (SELECT max(finish_number) + 1 FROM jobs)",
      [&](SQLite::Statement& statement) {
        statement.bind(":files", to_json(files).dump());
        statement.bind(":now", now_s());
      });
}

JobState JobStore::mark_failed(int64_t id, ErrorKind kind, const std::string& message,
                               bool may_retry) {
  const std::optional<Job> job = find(id);
  const bool again = may_retry && job && job->tries < job->max_tries;
  const double pause_s =
      again ? std::min(60.0, static_cast<double>(1 << std::min<int64_t>(job->tries - 1, 6))) : 0;
  impl_->update_mine(
      id,
      again ? "state = 'pending', error_kind = :kind, error = :error, not_before_s = :after"
            : "state = 'failed', error_kind = :kind, error = :error, finished_s = :after, "
              "finish_number = (SELECT max(finish_number) + 1 FROM jobs)",
      [&](SQLite::Statement& statement) {
        statement.bind(":kind", std::string(to_string(kind)));
        statement.bind(":error", message);
        statement.bind(":after", now_s() + pause_s);
      });
  return again ? JobState::Pending : JobState::Failed;
}

bool JobStore::release(int64_t id) {
  return impl_->update_mine(id, "state = 'pending', tries = max(tries - 1, 0)",
                            [](SQLite::Statement&) {});
}

bool JobStore::mark_cancelled(int64_t id) {
  return impl_->update_mine(id, "state = 'cancelled', cancel_wanted = 0, finished_s = :now",
                            [](SQLite::Statement& statement) { statement.bind(":now", now_s()); });
}

std::vector<Job> JobStore::recover(std::map<int64_t, int>* losses, Recover which) {
  std::vector<Job> made;
  struct Lease {
    int64_t id;
    ProcessIdentity process;
    double until_s;
  };
  std::vector<Lease> dead;
  impl_->database.read([&](SQLite::Database& db) {
    SQLite::Statement leases(db,
                             "SELECT id, host, pid, start_time, lease_until_s FROM jobs WHERE "
                             "state IN ('running', 'made')");
    while (leases.executeStep()) {
      const Lease lease{leases.getColumn(0).getInt64(),
                        {leases.getColumn(1).getString(), leases.getColumn(2).getInt64(),
                         leases.getColumn(3).getInt64()},
                        leases.getColumn(4).getDouble()};
      const Liveness state = which == Recover::AllLeases ? Liveness::Dead : liveness(lease.process);
      if (state == Liveness::Dead || (state == Liveness::Unknown && lease.until_s < now_s()))
        dead.push_back(lease);
    }
  });
  if (dead.empty()) return made;
  impl_->database.write([&](SQLite::Database& db) {
    for (const Lease& lease : dead) {
      // Only while the lease is still that process': another may have recovered it meanwhile.
      const auto bind_dead = [&](SQLite::Statement& statement) {
        statement.bind(":id", lease.id);
        statement.bind(":dead_host", lease.process.host);
        statement.bind(":dead_pid", lease.process.pid);
        statement.bind(":dead_start", lease.process.start_time);
      };
      constexpr const char* kIsDead =
          "id = :id AND host = :dead_host AND pid = :dead_pid AND start_time = :dead_start";
      SQLite::Statement take(db, fmt::format("UPDATE jobs SET host = :host, pid = :pid, start_time "
                                             "= :start, lease_until_s = :until "
                                             "WHERE {} AND state = 'made'",
                                             kIsDead));
      bind_dead(take);
      impl_->bind_self(take);
      take.bind(":until", now_s() + kLease_s);
      if (take.exec() > 0) {
        SQLite::Statement row(db, fmt::format("SELECT {} FROM jobs j WHERE j.id = ?", kColumns));
        row.bind(1, lease.id);
        if (row.executeStep()) made.push_back(job_of(row));
        continue;
      }
      if (losses != nullptr && ++(*losses)[lease.id] > kMaxLosses) {
        SQLite::Statement lost(
            db, fmt::format(
                    "UPDATE jobs SET state = 'failed', error_kind = 'internal', error = 'the "
                    "process that "
                    "made it ended without a word, again and again; is there enough memory?', "
                    "finished_s = :now, finish_number = (SELECT max(finish_number) + 1 FROM jobs) "
                    "WHERE {} AND state = 'running'",
                    kIsDead));
        bind_dead(lost);
        lost.bind(":now", now_s());
        lost.exec();
      }
      SQLite::Statement again(db, fmt::format("UPDATE jobs SET state = iif(cancel_wanted, "
                                              "'cancelled', 'pending'), tries = max(tries - 1, 0) "
                                              "WHERE {} AND state = 'running'",
                                              kIsDead));
      bind_dead(again);
      again.exec();
    }
  });
  return made;
}

std::vector<Job> JobStore::lend(const std::string& batch, const std::string& borrower) {
  std::vector<Job> jobs;
  impl_->database.write([&](SQLite::Database& db) {
    const std::string from = batch.empty() ? "WHERE" : "JOIN members m ON m.job = j.id AND m.batch = :batch WHERE";
    SQLite::Statement query(db, fmt::format("SELECT {} FROM jobs j {} j.state = 'pending' ORDER BY {}", kColumns, from,
                                            batch.empty() ? "j.id" : "m.position"));
    if (!batch.empty()) query.bind(":batch", batch);
    jobs = jobs_of(query);
    SQLite::Statement lease(db,
                            "UPDATE jobs SET state = 'running', host = :host, pid = 0, start_time = 0, lease_until_s = "
                            ":until, started_s = :now, finished_s = 0, phase = '', progress = 0 WHERE id = :id");
    for (const Job& job : jobs) {
      lease.reset();
      lease.bind(":host", host_of(borrower));
      lease.bind(":until", kForever_s);
      lease.bind(":now", now_s());
      lease.bind(":id", job.id);
      lease.exec();
    }
  });
  return jobs;
}

bool JobStore::settle(const Job& ended, const std::string& borrower) {
  bool changed = false;
  impl_->database.write([&](SQLite::Database& db) {
    SQLite::Statement statement(
        db,
        "UPDATE jobs SET state = :state, tries = :tries, files = :files, result = :result, error_kind = :kind, error = "
        ":error, started_s = :started, finished_s = :finished, progress = :progress, host = '', finish_number = (SELECT "
        "max(finish_number) + 1 FROM jobs) WHERE id = :id AND state = 'running' AND host = :host");
    statement.bind(":state", std::string(to_string(ended.state)));
    statement.bind(":tries", ended.tries);
    statement.bind(":files", to_json(ended.files).dump());
    statement.bind(":result", ended.result.dump());
    statement.bind(":kind", ended.error_kind);
    statement.bind(":error", ended.error);
    statement.bind(":started", ended.started_s);
    statement.bind(":finished", ended.finished_s);
    statement.bind(":progress", ended.progress);
    statement.bind(":id", ended.id);
    statement.bind(":host", host_of(borrower));
    changed = statement.exec() > 0;
  });
  return changed;
}

void JobStore::take_back(const std::string& borrower) {
  impl_->database.write([&](SQLite::Database& db) {
    SQLite::Statement statement(db, "UPDATE jobs SET state = iif(cancel_wanted, 'cancelled', 'pending'), host = '' WHERE "
                                    "state = 'running' AND host = ?");
    statement.bind(1, host_of(borrower));
    statement.exec();
  });
}

void JobStore::adopt(const std::vector<Job>& jobs) {
  impl_->database.write([&](SQLite::Database& db) {
    for (const Job& job : jobs) {
      insert(db, job);
      SQLite::Statement number(db, "UPDATE jobs SET id = ? WHERE key = ?");
      number.bind(1, job.id);
      number.bind(2, job.key);
      number.exec();
    }
  });
}

bool JobStore::cancel(int64_t id) {
  bool changed = false;
  impl_->database.write([&](SQLite::Database& db) {
    SQLite::Statement waiting(
        db,
        "UPDATE jobs SET state = 'cancelled', finished_s = ? WHERE id = ? AND state = 'pending'");
    waiting.bind(1, now_s());
    waiting.bind(2, id);
    changed = waiting.exec() > 0;
    if (changed) return;
    SQLite::Statement running(
        db, "UPDATE jobs SET cancel_wanted = 1 WHERE id = ? AND state = 'running'");
    running.bind(1, id);
    changed = running.exec() > 0;
  });
  return changed;
}

bool JobStore::cancel_wanted(int64_t id) {
  bool wanted = false;
  impl_->database.read([&](SQLite::Database& db) {
    SQLite::Statement query(db, "SELECT cancel_wanted FROM jobs WHERE id = ?");
    query.bind(1, id);
    wanted = query.executeStep() && query.getColumn(0).getInt() != 0;
  });
  return wanted;
}

bool JobStore::retry(int64_t id) {
  bool changed = false;
  impl_->database.write([&](SQLite::Database& db) {
    SQLite::Statement statement(db,
                                "UPDATE jobs SET state = 'pending', tries = 0, not_before_s = 0, "
                                "cancel_wanted = 0, files = '[]', "
                                "result = 'null', finished_s = 0, finish_number = 0 WHERE id = ? "
                                "AND state IN ('failed', 'cancelled', 'done')");
    statement.bind(1, id);
    changed = statement.exec() > 0;
  });
  return changed;
}

bool JobStore::remove(int64_t id) {
  bool changed = false;
  impl_->database.write([&](SQLite::Database& db) {
    SQLite::Statement statement(
        db, "DELETE FROM jobs WHERE id = ? AND state NOT IN ('running', 'made')");
    statement.bind(1, id);
    changed = statement.exec() > 0;
  });
  return changed;
}

std::optional<Job> JobStore::find(int64_t id) {
  const std::vector<Job> found =
      impl_->query("WHERE j.id = ?", [&](SQLite::Statement& statement) { statement.bind(1, id); });
  return found.empty() ? std::nullopt : std::optional<Job>(found.front());
}

std::optional<Job> JobStore::find_by_key(const std::string& key) {
  const std::vector<Job> found = impl_->query(
      "WHERE j.key = ?", [&](SQLite::Statement& statement) { statement.bind(1, key); });
  return found.empty() ? std::nullopt : std::optional<Job>(found.front());
}

std::optional<Job> JobStore::other_maker_of(const std::string& output, const std::string& key,
                                            const std::string& batch) {
  const std::vector<Job> found = impl_->query(
      "WHERE j.output = ? AND j.key <> ? AND j.state IN ('pending', 'running', 'made') AND EXISTS "
      "(SELECT 1 FROM members m WHERE m.job = j.id AND m.batch <> ?)",
      [&](SQLite::Statement& statement) {
        statement.bind(1, output);
        statement.bind(2, key);
        statement.bind(3, batch);
      });
  return found.empty() ? std::nullopt : std::optional<Job>(found.front());
}

std::vector<Job> JobStore::list(const JobFilter& filter) {
  std::string rest = filter.batch.empty()
                         ? "WHERE 1"
                         : "JOIN members m ON m.job = j.id AND m.batch = :batch WHERE 1";
  if (filter.owner) rest += " AND j.owner = :owner";
  if (filter.state) rest += " AND j.state = :state";
  rest += filter.batch.empty() ? " ORDER BY j.id" : " ORDER BY m.position";
  return impl_->query(rest, [&](SQLite::Statement& statement) {
    if (!filter.batch.empty()) statement.bind(":batch", filter.batch);
    if (filter.owner) statement.bind(":owner", *filter.owner);
    if (filter.state) statement.bind(":state", std::string(to_string(*filter.state)));
  });
}

std::vector<Job> JobStore::finished_after(const std::string& batch, int64_t finish_number) {
  const std::string members =
      batch.empty() ? "" : "JOIN members m ON m.job = j.id AND m.batch = :batch ";
  return impl_->query(members + "WHERE j.finish_number > :number ORDER BY j.finish_number",
                      [&](SQLite::Statement& statement) {
                        if (!batch.empty()) statement.bind(":batch", batch);
                        statement.bind(":number", finish_number);
                      });
}

int64_t JobStore::last_finish_number() {
  int64_t last = 0;
  impl_->database.read([&](SQLite::Database& db) {
    last = db.execAndGet("SELECT coalesce(max(finish_number), 0) FROM jobs").getInt64();
  });
  return last;
}

JobCounts JobStore::counts(const JobFilter& filter) {
  JobCounts counts;
  impl_->database.read([&](SQLite::Database& db) {
    std::string sql = "SELECT j.state, count(*) FROM jobs j ";
    sql += filter.batch.empty() ? "WHERE 1"
                                : "JOIN members m ON m.job = j.id AND m.batch = :batch WHERE 1";
    if (filter.owner) sql += " AND j.owner = :owner";
    SQLite::Statement query(db, sql + " GROUP BY j.state");
    if (!filter.batch.empty()) query.bind(":batch", filter.batch);
    if (filter.owner) query.bind(":owner", *filter.owner);
    while (query.executeStep())
      count(counts, query.getColumn(0).getString(), query.getColumn(1).getInt64());
  });
  return counts;
}

std::map<std::string, JobCounts> JobStore::counts_by_batch() {
  std::map<std::string, JobCounts> batches;
  impl_->database.read([&](SQLite::Database& db) {
    SQLite::Statement query(db,
                            "SELECT m.batch, j.state, count(*) FROM jobs j JOIN members m ON m.job "
                            "= j.id GROUP BY m.batch, j.state");
    while (query.executeStep())
      count(batches[query.getColumn(0).getString()], query.getColumn(1).getString(),
            query.getColumn(2).getInt64());
  });
  return batches;
}

void JobStore::set_paused(bool paused) {
  impl_->database.write([&](SQLite::Database& db) {
    SQLite::Statement statement(db,
                                "INSERT INTO settings (name, value) VALUES ('paused', ?) ON "
                                "CONFLICT(name) DO UPDATE SET value = excluded.value");
    statement.bind(1, paused ? "1" : "0");
    statement.exec();
  });
}

bool JobStore::paused() {
  bool paused = false;
  impl_->database.read([&](SQLite::Database& db) {
    SQLite::Statement query(db, "SELECT value = '1' FROM settings WHERE name = 'paused'");
    paused = query.executeStep() && query.getColumn(0).getInt() != 0;
  });
  return paused;
}

}  // namespace sora
