// A reservation is one `reserve` row; rows about it carry its id. Its state is its last row.
// Reservations made together, the variations of one work, share `attempt`, the id of the first of
// them.
#include "lib/jobs/ledger.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "lib/core/error.h"

namespace sora {
namespace {

// What a process on another machine holds cannot be asked after; it is given back when it is this
// old.
constexpr double kForeignLife_s = 24 * 3600;

constexpr int kLedgerVersion = 1;
constexpr const char* kLedgerSchema = R"sql(
CREATE TABLE entries (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  reservation INTEGER NOT NULL,
  attempt INTEGER NOT NULL,
  at_s REAL NOT NULL,
  month TEXT NOT NULL,
  account TEXT NOT NULL,
  plan TEXT NOT NULL,
  kind TEXT NOT NULL CHECK (kind IN ('reserve', 'settle', 'refund')),
  credits INTEGER NOT NULL,
  work TEXT NOT NULL,
  variation INTEGER NOT NULL,
  text TEXT NOT NULL,
  host TEXT NOT NULL,
  pid INTEGER NOT NULL,
  start_time INTEGER NOT NULL
);
CREATE INDEX entries_by_month ON entries(month, account);
CREATE INDEX entries_by_reservation ON entries(reservation);
CREATE INDEX entries_by_work ON entries(work);
CREATE VIEW open_reservations AS
  SELECT * FROM entries r WHERE r.kind = 'reserve' AND NOT EXISTS (SELECT 1 FROM entries e WHERE e.reservation = r.id AND e.id > r.id);
CREATE TRIGGER entries_stay BEFORE UPDATE ON entries BEGIN SELECT raise(ABORT, 'the ledger is only added to'); END;
CREATE TRIGGER entries_remain BEFORE DELETE ON entries BEGIN SELECT raise(ABORT, 'the ledger is only added to'); END;
)sql";

constexpr const char* kInsert =
    "INSERT INTO entries (reservation, attempt, at_s, month, account, plan, kind, credits, work, "
    "variation, text, host, "
    "pid, start_time) ";

std::string month_of(double seconds) {
  return fmt::format("{:%Y-%m}", fmt::gmtime(static_cast<std::time_t>(seconds)));
}

struct Reservation {
  int64_t id;
  ProcessIdentity process;
  double at_s;
};

// Adds a row about a reservation, all else being the reservation's own.
void append(SQLite::Database& database, int64_t reservation, const char* kind, int64_t credits,
            double at_s, const std::string& text) {
  SQLite::Statement row(
      database,
      std::string(kInsert) +
          "SELECT id, attempt, :at, month, account, plan, :kind, :credits, work, variation, "
          ":text, host, pid, start_time FROM entries WHERE id = :id");
  row.bind(":at", at_s);
  row.bind(":kind", kind);
  row.bind(":credits", credits);
  row.bind(":text", text);
  row.bind(":id", reservation);
  row.exec();
}

}  // namespace

Ledger::Clock Ledger::system_clock() {
  return [] {
    return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch())
        .count();
  };
}

std::filesystem::path Ledger::default_path() {
  const struct {
    const char* variable;
    const char* below;
  } places[] = {{"SORA_LEDGER", ""},
                {"XDG_DATA_HOME", "sora/ledger.sqlite"},
                {"HOME", ".local/share/sora/ledger.sqlite"}};
  for (const auto& place : places) {
    const char* value = std::getenv(place.variable);
    if (value == nullptr || *value == '\0') continue;
    return *place.below == '\0' ? std::filesystem::path(value)
                                : std::filesystem::path(value) / place.below;
  }
  fail(ErrorKind::Usage,
       "there is no place for the ledger of credits; name a file with $SORA_LEDGER");
}

Ledger::Ledger(const std::filesystem::path& path, Clock clock)
    : database_(path, kLedgerSchema, kLedgerVersion),
      clock_(std::move(clock)),
      self_(ProcessIdentity::own()) {}

std::string Ledger::month(SQLite::Database& database) const {
  const std::string latest =
      database.execAndGet("SELECT coalesce(max(month), '') FROM entries").getString();
  return std::max(latest, month_of(clock_()));
}

void Ledger::refund_dead(SQLite::Database& database) {
  std::vector<Reservation> dead;
  SQLite::Statement open(database, "SELECT id, host, pid, start_time, at_s FROM open_reservations");
  while (open.executeStep()) {
    const Reservation reservation{
        open.getColumn(0).getInt64(),
        {open.getColumn(1).getString(), open.getColumn(2).getInt64(), open.getColumn(3).getInt64()},
        open.getColumn(4).getDouble()};
    const Liveness state = liveness(reservation.process);
    if (state == Liveness::Dead ||
        (state == Liveness::Unknown && reservation.at_s + kForeignLife_s < clock_()))
      dead.push_back(reservation);
  }
  open.reset();
  for (const Reservation& reservation : dead) {
    SQLite::Statement amount(database, "SELECT -credits FROM entries WHERE id = ?");
    amount.bind(1, reservation.id);
    amount.executeStep();
    append(database, reservation.id, "refund", amount.getColumn(0).getInt64(), clock_(),
           "its process ended");
  }
}

Balance Ledger::balance_now(SQLite::Database& database, const std::string& account) {
  Balance balance;
  balance.month = month(database);
  SQLite::Statement used(
      database, "SELECT coalesce(-sum(credits), 0) FROM entries WHERE month = ? AND account = ?");
  used.bind(1, balance.month);
  used.bind(2, account);
  used.executeStep();
  balance.used = used.getColumn(0).getInt64();
  SQLite::Statement open(database,
                         "SELECT coalesce(-sum(iif(month = :month, credits, 0)), 0), "
                         "count(DISTINCT attempt) FROM open_reservations WHERE account = :account");
  open.bind(":month", balance.month);
  open.bind(":account", account);
  open.executeStep();
  balance.reserved = open.getColumn(0).getInt64();
  balance.running = open.getColumn(1).getInt64();
  return balance;
}

Ledger::Answer Ledger::reserve(const Wish& wish) {
  Answer answer = Answer::Reserved;
  database_.write(
      [&](SQLite::Database& db) {
        refund_dead(db);
        const Balance now = balance_now(db, wish.account);
        if (wish.max_running > 0 && now.running >= wish.max_running) {
          answer = Answer::Busy;
          return;
        }
        if (wish.allowance && wish.credits * wish.variations > *wish.allowance - now.used) {
          answer = Answer::TooFew;
          return;
        }
        int64_t attempt = 0;
        for (int variation = 0; variation < wish.variations; ++variation) {
          // AUTOINCREMENT gives each row the number after the highest there ever was, and rows are
          // never taken away.
          const int64_t id =
              db.execAndGet("SELECT coalesce(max(id), 0) + 1 FROM entries").getInt64();
          if (attempt == 0) attempt = id;
          SQLite::Statement row(
              db, std::string(kInsert) +
                      "VALUES (:id, :attempt, :at, :month, :account, :plan, 'reserve', :credits, "
                      ":work, :variation, :text, :host, :pid, :start)");
          row.bind(":id", id);
          row.bind(":attempt", attempt);
          row.bind(":at", clock_());
          row.bind(":month", now.month);
          row.bind(":account", wish.account);
          row.bind(":plan", wish.plan);
          row.bind(":credits", -wish.credits);
          row.bind(":work", wish.work);
          row.bind(":variation", static_cast<int64_t>(variation));
          row.bind(":text", wish.text);
          row.bind(":host", self_.host);
          row.bind(":pid", self_.pid);
          row.bind(":start", self_.start_time);
          row.exec();
        }
      },
      JobDatabase::Durability::OnDisk);
  return answer;
}

bool Ledger::close(const std::string& work, const char* kind, const std::string& text,
                   std::optional<int64_t> variation, Reservations which) {
  struct Reserved {
    int64_t id;
    int64_t credits;  // of the reserve row
    std::string last_kind;
  };
  bool found = false;
  database_.write(
      [&](SQLite::Database& db) {
        SQLite::Statement rows(
            db,
            "SELECT r.id, r.credits, (SELECT e.kind FROM entries e WHERE e.reservation = r.id "
            "ORDER BY e.id DESC LIMIT 1) "
            "FROM entries r WHERE r.kind = 'reserve' AND r.work = :work AND r.attempt = (SELECT "
            "max(attempt) FROM entries "
            "WHERE work = :work) AND (:variation < 0 OR r.variation = :variation)");
        rows.bind(":work", work);
        rows.bind(":variation", variation.value_or(-1));
        std::vector<Reserved> reservations;
        while (rows.executeStep())
          reservations.push_back({rows.getColumn(0).getInt64(), rows.getColumn(1).getInt64(),
                                  rows.getColumn(2).getString()});
        rows.reset();
        const bool gives_back = std::string_view(kind) == "refund";
        for (const Reserved& reservation : reservations) {
          if (which == Reservations::Open && reservation.last_kind != "reserve") continue;
          found = true;
          if (reservation.last_kind == kind) continue;
          const bool was_given_back = reservation.last_kind == "refund";
          const int64_t credits = gives_back       ? -reservation.credits
                                  : was_given_back ? reservation.credits
                                                   : 0;
          append(db, reservation.id, kind, credits, clock_(), text);
        }
      },
      JobDatabase::Durability::OnDisk);
  return found;
}

bool Ledger::settle(const std::string& work, std::optional<int64_t> variation) {
  return close(work, "settle", "", variation);
}

bool Ledger::refund(const std::string& work, const std::string& reason,
                    std::optional<int64_t> variation) {
  return close(work, "refund", reason, variation);
}

bool Ledger::refund_open(const std::string& work, const std::string& reason) {
  return close(work, "refund", reason, {}, Reservations::Open);
}

Balance Ledger::balance(const std::string& account) {
  Balance balance;
  database_.write([&](SQLite::Database& db) {
    refund_dead(db);
    balance = balance_now(db, account);
  });
  return balance;
}

std::vector<LedgerEntry> Ledger::history(const std::string& account, int64_t limit) {
  std::vector<LedgerEntry> entries;
  database_.read([&](SQLite::Database& db) {
    SQLite::Statement rows(
        db,
        "SELECT id, at_s, month, account, plan, kind, credits, work, variation, text FROM entries "
        "WHERE account = ? ORDER BY id DESC LIMIT ?");
    rows.bind(1, account);
    rows.bind(2, limit);
    while (rows.executeStep()) {
      entries.push_back({rows.getColumn(0).getInt64(), rows.getColumn(1).getDouble(),
                         rows.getColumn(2).getString(), rows.getColumn(3).getString(),
                         rows.getColumn(4).getString(), rows.getColumn(5).getString(),
                         rows.getColumn(6).getInt64(), rows.getColumn(7).getString(),
                         rows.getColumn(8).getInt64(), rows.getColumn(9).getString()});
    }
  });
  return entries;
}

}  // namespace sora
