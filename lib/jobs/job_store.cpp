// JobStore: which jobs there are, and what became of them.
#include "lib/jobs/job_store.h"

#include "lib/jobs/job_store_impl.h"

namespace sora {
namespace {

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

std::vector<int64_t> members_of(SQLite::Database& database, const std::string& batch) {
  SQLite::Statement query(database, "SELECT job FROM members WHERE batch = ?");
  query.bind(1, batch);
  std::vector<int64_t> ids;
  while (query.executeStep()) ids.push_back(query.getColumn(0).getInt64());
  return ids;
}

}  // namespace

JobStore::JobStore(const std::filesystem::path& path, JournalMode journal)
    : self_(ProcessIdentity::own()) {
  impl_ = std::make_unique<Impl>(path, journal, self_);
}

JobStore::~JobStore() = default;

const std::filesystem::path& JobStore::path() const { return impl_->database.path(); }

std::vector<int64_t> JobStore::set_batch(const std::string& batch,
                                         const std::vector<NewJob>& jobs) {
  std::vector<int64_t> ids;
  impl_->database.write([&](SQLite::Database& db) {
    const std::vector<int64_t> before = members_of(db, batch);
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
    SQLite::Statement forget(
        db,
        "DELETE FROM jobs WHERE id = ? AND state IN ('pending', 'failed', 'cancelled') AND NOT "
        "EXISTS (SELECT 1 FROM members m WHERE m.job = jobs.id)");
    for (const int64_t id : before) {
      forget.reset();
      forget.bind(1, id);
      forget.exec();
    }
  });
  return ids;
}

int64_t JobStore::add(const NewJob& job) {
  int64_t id = 0;
  impl_->database.write([&](SQLite::Database& db) { id = insert(db, job); });
  return id;
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

int64_t JobStore::retry(const std::vector<int64_t>& ids) {
  int64_t changed = 0;
  impl_->database.write([&](SQLite::Database& db) {
    SQLite::Statement statement(
        db,
        "UPDATE jobs SET state = 'pending', tries = 0, losses = 0, not_before_s = 0, "
        "cancel_wanted = 0, "
        "result = 'null', finished_s = 0 WHERE id = ? "
        "AND state IN ('failed', 'cancelled', 'done')");
    for (const int64_t id : ids) {
      statement.reset();
      statement.bind(1, id);
      changed += statement.exec();
    }
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

void JobStore::set_details(int64_t id, const nlohmann::json& details) {
  impl_->database.write([&](SQLite::Database& db) {
    SQLite::Statement statement(db, "UPDATE jobs SET details = ? WHERE id = ?");
    statement.bind(1, details.dump());
    statement.bind(2, id);
    statement.exec();
  });
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

std::optional<Job> JobStore::maker_of(const std::string& output) {
  const std::vector<Job> found =
      impl_->query("WHERE j.output = ? AND j.state IN ('pending', 'running', 'made')",
                   [&](SQLite::Statement& statement) { statement.bind(1, output); });
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
  return impl_->query(members +
                          "WHERE j.finish_number > :number AND j.state IN ('done', 'failed') "
                          "ORDER BY j.finish_number",
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
