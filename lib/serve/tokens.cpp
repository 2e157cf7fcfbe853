#include "lib/serve/tokens.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <random>
#include <sstream>

#include "lib/core/error.h"
#include "lib/core/file_lock.h"
#include "lib/provenance/digest.h"

namespace sora {
namespace {

constexpr size_t kDigestLength = 64;
constexpr const char* kPlanInForce = "-";
constexpr size_t kMaxName = 64;

// Without an early end: how long it takes tells nothing of where they differ.
bool is_same_digest(const std::string& a, const std::string& b) {
  unsigned difference = 0;
  for (size_t i = 0; i < kDigestLength; ++i)
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  return difference == 0;
}

bool is_name(const std::string& name) {
  return !name.empty() && name.size() <= kMaxName &&
         std::all_of(name.begin(), name.end(), [](unsigned char letter) {
           return std::isalnum(letter) != 0 || letter == '.' || letter == '-' || letter == '_';
         });
}

std::string random_token() {
  std::random_device random;
  std::string token = "sora-";
  for (int word = 0; word < 8; ++word) token += fmt::format("{:08x}", random());
  return token;
}

// As an editor may leave it.
bool ends_inside_a_line(int file) {
  const off_t size = ::lseek(file, 0, SEEK_END);
  char last = '\n';
  return size > 0 && ::pread(file, &last, 1, size - 1) == 1 && last != '\n';
}

}  // namespace

TokenFile::TokenFile(const std::string& path) {
  std::ifstream file(path);
  struct stat status = {};
  if (!file || ::stat(path.c_str(), &status) != 0 || S_ISDIR(status.st_mode)) {
    fail(ErrorKind::NotFound,
         "the token file {} cannot be read; sora serve --token-file {} --add-token NAME makes one",
         path, path);
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) != 0)
    fail(ErrorKind::Input, "others may write to the token file {}; chmod 600 {}", path, path);
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    std::istringstream words(line);
    Row row;
    std::string more;
    if (!(words >> row.caller.name) || row.caller.name.front() == '#') continue;
    const bool is_digest = words >> row.caller.plan >> row.sha256 &&
                           row.sha256.size() == kDigestLength &&
                           row.sha256.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!is_digest || words >> more || !is_name(row.caller.name)) {
      fail(ErrorKind::Input,
           "{}: line {}: a token is written as NAME PLAN SHA256, such as --add-token writes it",
           path, number);
    }
    if (row.caller.plan == kPlanInForce) row.caller.plan.clear();
    rows_.push_back(std::move(row));
  }
}

std::vector<ApiCaller> TokenFile::callers() const {
  std::vector<ApiCaller> callers;
  for (const Row& row : rows_) callers.push_back(row.caller);
  return callers;
}

std::optional<ApiCaller> TokenFile::caller_of(const std::string& token) const {
  const std::string digest = sha256_of_bytes(token);
  std::optional<ApiCaller> caller;
  for (const Row& row : rows_) {
    if (is_same_digest(row.sha256, digest)) caller = row.caller;
  }
  return caller;
}

std::string add_token(const std::string& path, const std::string& name, const std::string& plan) {
  if (!is_name(name))
    fail(ErrorKind::Usage,
         "'{}' is no name for a token; use letters, digits, dot, dash and underscore", name);
  if (std::any_of(plan.begin(), plan.end(),
                  [](unsigned char letter) { return std::isspace(letter) != 0; })) {
    fail(
        ErrorKind::Usage,
        "the plan '{}' has a blank in its path, and blanks part the words of a token file; move it",
        plan);
  }
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0)
    fail(ErrorKind::Io, "the token file {} cannot be written: {}", path, std::strerror(errno));
  FileLock turn(path);
  const std::lock_guard one_at_a_time(turn);
  std::ifstream lines(path);
  std::string line;
  while (std::getline(lines, line)) {
    if (line.substr(0, line.find(' ')) != name) continue;
    ::close(file);
    fail(ErrorKind::Usage,
         "{} has a token for '{}' already; take its line out first, or choose another name", path,
         name);
  }
  const std::string token = random_token();
  const std::string row = fmt::format("{}{} {} {}\n", ends_inside_a_line(file) ? "\n" : "", name,
                                      plan.empty() ? kPlanInForce : plan, sha256_of_bytes(token));
  const bool written = ::write(file, row.data(), row.size()) == static_cast<ssize_t>(row.size());
  ::close(file);
  if (!written)
    fail(ErrorKind::Io, "the token file {} cannot be written: {}", path, std::strerror(errno));
  return token;
}

}  // namespace sora
