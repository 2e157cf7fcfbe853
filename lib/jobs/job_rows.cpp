#include "lib/jobs/job_rows.h"

#include <chrono>

namespace sora {
namespace {

std::vector<JobFile> files_from_json(const nlohmann::json& list) {
  std::vector<JobFile> files;
  for (const nlohmann::json& file : list)
    files.push_back({file.at("name"), file.at("bytes"), file.at("mtime_ns"), file.at("sha256")});
  return files;
}

}  // namespace

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
  job.losses = whole();
  job.force = whole() != 0;
  return job;
}

std::vector<Job> jobs_of(SQLite::Statement& query) {
  std::vector<Job> jobs;
  while (query.executeStep()) jobs.push_back(job_of(query));
  return jobs;
}

int64_t insert(SQLite::Database& database, const NewJob& job) {
  SQLite::Statement known(database, "SELECT id FROM jobs WHERE key = ?");
  known.bind(1, job.key);
  if (known.executeStep()) {
    const int64_t id = known.getColumn(0).getInt64();
    SQLite::Statement update(
        database, "UPDATE jobs SET place = ?, max_tries = ?, max_running = ? WHERE id = ?");
    update.bind(1, job.place);
    update.bind(2, job.max_tries);
    update.bind(3, job.max_running);
    update.bind(4, id);
    update.exec();
    return id;
  }
  SQLite::Statement statement(
      database,
      "INSERT INTO jobs (key, command, output, model, place, lane, owner, max_tries, max_running, "
      "details, added_s, force) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
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
  statement.bind(12, job.force ? 1 : 0);
  statement.exec();
  return database.getLastInsertRowid();
}

}  // namespace sora
