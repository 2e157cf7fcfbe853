// JobStore: who makes a job, and until when.
#include <algorithm>

#include "lib/jobs/job_store_impl.h"
#include "lib/jobs/plan_refusal.h"

namespace sora {
namespace {

// A lease of a process on another machine holds this long after its last renewal.
constexpr double kLease_s = 120;

// Jobs that could start now: waited for long enough after a failed try, and their owner has a slot
// free.
constexpr const char* kRunnable =
    "NOT EXISTS (SELECT 1 FROM settings WHERE name = 'paused' AND value = '1') AND j.state = "
    "'pending' AND j.not_before_s <= :now AND (j.max_running = 0 OR (SELECT count(*) "
    "FROM jobs r WHERE r.owner = "
    "j.owner AND r.state IN ('running', 'made')) < j.max_running)";

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

bool JobStore::holds(int64_t id) {
  bool held = false;
  impl_->database.read([&](SQLite::Database& db) {
    SQLite::Statement query(db, fmt::format("SELECT 1 FROM jobs WHERE {}", Impl::kMine));
    query.bind(":id", id);
    impl_->bind_self(query);
    held = query.executeStep();
  });
  return held;
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

JobState JobStore::mark_failed(int64_t id, const Error& error, bool may_retry) {
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
        statement.bind(":kind", std::string(kind_of(error)));
        statement.bind(":error", error.what());
        statement.bind(":after", now_s() + pause_s);
      });
  return again ? JobState::Pending : JobState::Failed;
}

bool JobStore::release(int64_t id) {
  return impl_->update_mine(id, "state = 'pending', tries = max(tries - 1, 0)",
                            [](SQLite::Statement&) {});
}

bool JobStore::release_unmade(int64_t id) {
  return impl_->update_mine(id,
                            "tries = iif(state = 'running', max(tries - 1, 0), tries), state = "
                            "iif(state = 'running', 'pending', state)",
                            [](SQLite::Statement&) {});
}

bool JobStore::mark_cancelled(int64_t id) {
  return impl_->update_mine(id, "state = 'cancelled', cancel_wanted = 0, finished_s = :now",
                            [](SQLite::Statement& statement) { statement.bind(":now", now_s()); });
}

namespace {

struct Lease {
  int64_t id;
  ProcessIdentity process;
  double until_s;
};

// Those whose process has ended.
std::vector<Lease> dead_leases(JobDatabase& database, JobStore::Recover which) {
  std::vector<Lease> dead;
  database.read([&](SQLite::Database& db) {
    SQLite::Statement leases(db,
                             "SELECT id, host, pid, start_time, lease_until_s FROM jobs WHERE "
                             "state IN ('running', 'made')");
    while (leases.executeStep()) {
      const Lease lease{leases.getColumn(0).getInt64(),
                        {leases.getColumn(1).getString(), leases.getColumn(2).getInt64(),
                         leases.getColumn(3).getInt64()},
                        leases.getColumn(4).getDouble()};
      const Liveness state =
          which == JobStore::Recover::AllLeases ? Liveness::Dead : liveness(lease.process);
      if (state == Liveness::Dead || (state == Liveness::Unknown && lease.until_s < now_s()))
        dead.push_back(lease);
    }
  });
  return dead;
}

// A statement with "{}" for: only while the lease is still that process', as another may have
// recovered it meanwhile.
SQLite::Statement of_lease(SQLite::Database& db, const Lease& lease, const char* sql) {
  SQLite::Statement statement(
      db, fmt::format(
              fmt::runtime(sql),
              "id = :id AND host = :dead_host AND pid = :dead_pid AND start_time = :dead_start"));
  statement.bind(":id", lease.id);
  statement.bind(":dead_host", lease.process.host);
  statement.bind(":dead_pid", lease.process.pid);
  statement.bind(":dead_start", lease.process.start_time);
  return statement;
}

}  // namespace

JobStore::Recovered JobStore::recover(Losses losses, Recover which) {
  Recovered recovered;
  const std::vector<Lease> dead = dead_leases(impl_->database, which);
  if (dead.empty()) return recovered;
  impl_->database.write([&](SQLite::Database& db) {
    const auto row_of = [&](const Lease& lease) {
      SQLite::Statement row(db, fmt::format("SELECT {} FROM jobs j WHERE j.id = ?", kColumns));
      row.bind(1, lease.id);
      row.executeStep();
      return job_of(row);
    };
    for (const Lease& lease : dead) {
      SQLite::Statement take =
          of_lease(db, lease,
                   "UPDATE jobs SET host = :host, pid = :pid, start_time = :start, lease_until_s = "
                   ":until WHERE {} AND state = 'made'");
      impl_->bind_self(take);
      take.bind(":until", now_s() + kLease_s);
      if (take.exec() > 0) {
        recovered.made.push_back(row_of(lease));
        continue;
      }
      SQLite::Statement lost =
          of_lease(db, lease, "UPDATE jobs SET losses = losses + :lost WHERE {}");
      lost.bind(":lost", losses == Losses::Counted ? 1 : 0);
      lost.exec();
      SQLite::Statement end =
          of_lease(db, lease,
                   "UPDATE jobs SET state = iif(cancel_wanted, 'cancelled', 'failed'), "
                   "error_kind = iif(cancel_wanted, error_kind, 'internal'), error = "
                   "iif(cancel_wanted, error, 'the process that made it ended without a word, "
                   "again and again; is there enough memory?'), finished_s = :now, finish_number = "
                   "iif(cancel_wanted, finish_number, (SELECT max(finish_number) + 1 FROM jobs)), "
                   "cancel_wanted = 0 WHERE {} AND state = 'running' AND (cancel_wanted OR "
                   "losses > :max_losses)");
      end.bind(":now", now_s());
      end.bind(":max_losses", losses == Losses::Counted ? int64_t{kMaxLosses} : INT64_MAX);
      if (end.exec() > 0) {
        recovered.ended.push_back(row_of(lease));
        continue;
      }
      of_lease(db, lease,
               "UPDATE jobs SET state = 'pending', tries = max(tries - 1, 0) WHERE {} AND state = "
               "'running'")
          .exec();
    }
  });
  return recovered;
}

}  // namespace sora
