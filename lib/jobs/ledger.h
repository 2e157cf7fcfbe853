// The ledger of credits: an SQLite file to which rows are only added. What is left of a month is
// the sum of its rows.
//
//   reserve -c   before a clip is made, by the process that makes it
//   settle   0   the clip is whole                          (-c where the reservation had been
//   given back) refund  +c   it failed, was stopped, or its process died (also of one that was
//   settled)
//
// A refund belongs to the month of its reservation, so nothing is carried over. The month is that
// of the clock in UTC, but never one before the ledger's latest: a clock that goes back brings no
// new credits.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/jobs/database.h"
#include "lib/jobs/process_identity.h"

namespace sora {

struct LedgerEntry {
  int64_t id = 0;
  double at_s = 0;      // seconds since 1970, by the clock
  std::string month;    // "2026-11"
  std::string account;  // empty: the user's own
  std::string plan;
  std::string kind;     // reserve | settle | refund
  int64_t credits = 0;  // what the row adds to what is left
  std::string work;
  int64_t variation = 0;
  std::string text;
};

struct Balance {
  std::string month;
  int64_t used = 0;      // reservations that are still open included
  int64_t reserved = 0;  // of these
  int64_t running = 0;   // works with open reservations
};

class Ledger {
 public:
  // Seconds since 1970.
  using Clock = std::function<double()>;

  // $SORA_LEDGER, else sora/ledger.sqlite in $XDG_DATA_HOME or ~/.local/share. Throws Error(Usage)
  // where none is set.
  static std::filesystem::path default_path();

  // Throws as JobDatabase does.
  explicit Ledger(const std::filesystem::path& path = default_path(), Clock clock = system_clock());

  struct Wish {
    std::string account;
    std::string plan;
    std::string work;     // what the reservation is found by; names one thing that is made
    std::string text;     // for a person
    int64_t credits = 0;  // of each variation
    int variations = 1;
    std::optional<int64_t> allowance;  // of the month; empty: no limit
    int64_t max_running = 0;           // works of the account at a time; 0: no limit
  };
  enum class Answer { Reserved, TooFew, Busy };
  // All variations or none, alone among all processes. What dead processes held is given back
  // first.
  Answer reserve(const Wish& wish);

  // Of the latest reservation of `work`; one variation of it, or all. Each may be said again
  // without effect. False: there is none.
  bool settle(const std::string& work, std::optional<int64_t> variation = {});
  bool refund(const std::string& work, const std::string& reason,
              std::optional<int64_t> variation = {});
  // Only what is still set aside: for a process that is known to have ended, on whatever machine it
  // ran.
  bool refund_open(const std::string& work, const std::string& reason);

  // Gives back what dead processes held.
  Balance balance(const std::string& account);
  // Newest first.
  std::vector<LedgerEntry> history(const std::string& account, int64_t limit);

  const std::filesystem::path& path() const { return database_.path(); }

 private:
  static Clock system_clock();

  std::string month(SQLite::Database& database) const;
  Balance balance_now(SQLite::Database& database, const std::string& account);
  void refund_dead(SQLite::Database& database);
  enum class Reservations { All, Open };
  bool close(const std::string& work, const char* kind, const std::string& text,
             std::optional<int64_t> variation, Reservations which = Reservations::All);

  JobDatabase database_;
  Clock clock_;
  ProcessIdentity self_;
};

}  // namespace sora
