// JobStore: jobs that are made elsewhere, from another store (lent_jobs.h).
#include "lib/jobs/job_store_impl.h"

namespace sora {
namespace {

// Of lent jobs: no process has such an identity, and the lease never ends by itself.
std::string host_of(const std::string& borrower) { return "lent-to:" + borrower; }
constexpr double kForever_s = 1e15;

}  // namespace

std::vector<Job> JobStore::lend(const std::string& batch, const std::string& borrower) {
  std::vector<Job> jobs;
  impl_->database.write([&](SQLite::Database& db) {
    const std::string from =
        batch.empty() ? "WHERE" : "JOIN members m ON m.job = j.id AND m.batch = :batch WHERE";
    SQLite::Statement query(
        db, fmt::format("SELECT {} FROM jobs j {} j.state = 'pending' ORDER BY {}", kColumns, from,
                        batch.empty() ? "j.id" : "m.position"));
    if (!batch.empty()) query.bind(":batch", batch);
    jobs = jobs_of(query);
    SQLite::Statement lease(
        db,
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
        "UPDATE jobs SET state = :state, tries = :tries, files = :files, result = :result, "
        "error_kind = :kind, error = "
        ":error, started_s = :started, finished_s = :finished, progress = :progress, host = '', "
        "finish_number = (SELECT "
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

void JobStore::take_back(const std::string& borrower, const std::vector<Job>& unmade) {
  impl_->database.write([&](SQLite::Database& db) {
    for (const Job& job : unmade) {
      SQLite::Statement lost(db,
                             "UPDATE jobs SET losses = ? WHERE id = ? AND state = 'running' AND "
                             "host = ?");
      lost.bind(1, job.losses);
      lost.bind(2, job.id);
      lost.bind(3, host_of(borrower));
      lost.exec();
    }
    SQLite::Statement statement(
        db,
        "UPDATE jobs SET state = iif(cancel_wanted, 'cancelled', 'pending'), host = '' WHERE "
        "state = 'running' AND host = ?");
    statement.bind(1, host_of(borrower));
    statement.exec();
  });
}

void JobStore::adopt(const std::vector<Job>& jobs) {
  impl_->database.write([&](SQLite::Database& db) {
    for (const Job& job : jobs) {
      insert(db, job);
      SQLite::Statement rest(db, "UPDATE jobs SET id = ?, files = ?, losses = ? WHERE key = ?");
      rest.bind(1, job.id);
      rest.bind(2, to_json(job.files).dump());
      rest.bind(3, job.losses);
      rest.bind(4, job.key);
      rest.exec();
    }
  });
}

}  // namespace sora
