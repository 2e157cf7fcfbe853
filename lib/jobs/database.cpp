// sqlite.org: "Write-Ahead Logging", "PRAGMA synchronous", "Result and error codes". SQLite's own
// waiting is polling, at which the process that has just written wins again and again; flock(2)
// queues.
#include "lib/jobs/database.h"

#include <fmt/format.h>
#include <sqlite3.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <mutex>

#include "lib/core/error.h"

namespace sora {
namespace {

// Others hold the file for milliseconds; a minute means that something is wrong.
constexpr int kBusyTimeout_ms = 60'000;
// The log is folded into the file beyond this, so that it stays small.
constexpr int kLogPages = 64;

// statfs(2): NFS, SMB, SMB2, Lustre, GPFS, Ceph, FUSE, 9P, BeeGFS, GFS2.
constexpr uint32_t kSharedFileSystems[] = {0x6969,     0xFF534D42, 0xFE534D42, 0x0BD00BD0,
                                           0x47504653, 0x00C36400, 0x65735546, 0x01021997,
                                           0x19830326, 0x01161970};

bool is_shared(const std::filesystem::path& folder) {
  struct statfs status = {};
  if (::statfs(folder.c_str(), &status) != 0) return true;
  return std::find(std::begin(kSharedFileSystems), std::end(kSharedFileSystems),
                   static_cast<uint32_t>(status.f_type)) != std::end(kSharedFileSystems);
}

// A file that is there and cannot be written, or no log beside it.
bool may_only_be_read(const std::filesystem::path& path, const std::filesystem::path& folder) {
  return ::access(path.c_str(), F_OK) == 0 &&
         (::access(path.c_str(), W_OK) != 0 || ::access(folder.c_str(), W_OK) != 0);
}

// sqlite.org: "Uniform Resource Identifiers". Without a log beside it no process writes the file.
std::string uri_to_read(const std::filesystem::path& path) {
  std::string uri = "file:";
  for (const char c : std::filesystem::absolute(path).string()) {
    const bool is_special = c == '%' || c == '?' || c == '#';
    uri += is_special ? fmt::format("%{:02x}", static_cast<unsigned char>(c)) : std::string(1, c);
  }
  return uri + (std::filesystem::exists(path.string() + "-wal") ? "?mode=ro" : "?immutable=1");
}

std::unique_ptr<SQLite::Database> open_database(const std::filesystem::path& path,
                                                bool is_read_only) {
  if (is_read_only) {
    return std::make_unique<SQLite::Database>(
        uri_to_read(path), SQLite::OPEN_READONLY | SQLite::OPEN_URI, kBusyTimeout_ms);
  }
  return std::make_unique<SQLite::Database>(
      path.string(), SQLite::OPEN_READWRITE | SQLite::OPEN_CREATE, kBusyTimeout_ms);
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : ".";
}

// The path, once its folder is there.
const std::filesystem::path& in_its_folder(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::create_directories(folder_of(path), error);
  if (error)
    fail(ErrorKind::Io, "the folder {} cannot be made: {}; choose another",
         folder_of(path).string(), error.message());
  return path;
}

}  // namespace

JobDatabase::JobDatabase(const std::filesystem::path& path, const char* schema, int version,
                         JournalMode journal)
    : path_(in_its_folder(path)), turn_(path.string() + "-turn") {
  try {
    const std::filesystem::path folder = folder_of(path);
    const bool is_read_only = may_only_be_read(path, folder);
    database_ = open_database(path, is_read_only);
    const std::lock_guard turn(turn_);
    int found = database_->execAndGet("PRAGMA user_version").getInt();
    has_log_ = !is_read_only && begins_log(found == 0, is_shared(folder), journal);
    database_->exec(has_log_ ? "PRAGMA synchronous=NORMAL" : "PRAGMA synchronous=FULL");
    database_->exec(fmt::format("PRAGMA wal_autocheckpoint={}", kLogPages));
    database_->exec("PRAGMA foreign_keys=ON");
    if (found > version) {
      fail(ErrorKind::Input,
           "{} was written by a later version of this program; use that one, or another folder",
           path.string());
    }
    if (found == version) return;
    SQLite::Transaction transaction(*database_, SQLite::TransactionBehavior::IMMEDIATE);
    found = database_->execAndGet("PRAGMA user_version").getInt();
    if (found == 0) {
      database_->exec(schema);
      database_->exec(fmt::format("PRAGMA user_version={}", version));
    }
    transaction.commit();
  } catch (const SQLite::Exception& error) {
    fail_with(error);
  }
}

// A file that is there keeps the journal it has: a machine that reaches it over the network may be
// at work with that.
bool JobDatabase::begins_log(bool is_new, bool is_shared, JournalMode journal) {
  std::string wish = "PRAGMA journal_mode";
  if (is_shared || (is_new && journal == JournalMode::Rollback)) {
    wish += "=DELETE";
  } else if (is_new) {
    wish += "=WAL";
  }
  const bool has_log = database_->execAndGet(wish).getString() == "wal";
  if (has_log && is_shared) {
    fail(ErrorKind::Io,
         "{} lies on a network file system and has a write-ahead log, which another process holds "
         "open; end that process first, so that the log can be closed",
         path_.string());
  }
  return has_log;
}

void JobDatabase::write(const std::function<void(SQLite::Database&)>& work, Durability durability) {
  const std::lock_guard turn(turn_);
  try {
    if (has_log_)
      database_->exec(durability == Durability::OnDisk ? "PRAGMA synchronous=FULL"
                                                       : "PRAGMA synchronous=NORMAL");
    SQLite::Transaction transaction(*database_, SQLite::TransactionBehavior::IMMEDIATE);
    work(*database_);
    transaction.commit();
  } catch (const SQLite::Exception& error) {
    fail_with(error);
  }
}

void JobDatabase::read(const std::function<void(SQLite::Database&)>& work) {
  try {
    work(*database_);
  } catch (const SQLite::Exception& error) {
    fail_with(error);
  }
}

void JobDatabase::fail_with(const SQLite::Exception& error) const {
  switch (error.getErrorCode()) {
    case SQLITE_FULL:
      fail(ErrorKind::Io, "{}: the disk is full; free some space and go on", path_.string());
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
      fail(ErrorKind::Io, "{} cannot be written: {}; choose a folder that can", path_.string(),
           error.what());
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      fail(ErrorKind::Io, "{} is held by another process for too long", path_.string());
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
      fail(ErrorKind::Input, "{} is damaged ({}); move it away to begin anew", path_.string(),
           error.what());
    default:
      fail(ErrorKind::Io, "{}: {}", path_.string(), error.what());
  }
}

}  // namespace sora
