// A line of the audit file holds no text of anyone's: the field, the rule, and the text's SHA-256,
// by which a complaint can be compared with it.
#include <fcntl.h>
#include <fmt/chrono.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/provenance/digest.h"
#include "lib/provenance/policy.h"

namespace sora {
namespace {

std::filesystem::path audit_file(const Policy& policy) {
  if (!policy.audit_path().empty()) return policy.audit_path();
  if (const char* state = std::getenv("XDG_STATE_HOME"); state != nullptr && *state != '\0') {
    return std::filesystem::path(state) / "sora/audit.jsonl";
  }
  const char* home = std::getenv("HOME");
  return home == nullptr ? std::filesystem::path()
                         : std::filesystem::path(home) / ".local/state/sora/audit.jsonl";
}

}  // namespace

void write_audit_line(const Policy& policy, const PolicyFinding& finding,
                      std::string_view operation, std::string_view content) {
  const std::filesystem::path path = audit_file(policy);
  if (path.empty()) return;
  const nlohmann::json line = {
      {"time", fmt::format("{:%FT%TZ}", fmt::gmtime(std::time(nullptr)))},
      {"action", finding.action == PolicyAction::Refuse ? "refuse" : "warn"},
      {"rule", finding.rule},
      {"field", finding.field},
      {"operation", operation},
      {"content_sha256", sha256_of_bytes(content)},
      {"policy", policy.name()},
      {"policy_sha256", policy.sha256()}};
  std::error_code ignored;
  std::filesystem::create_directories(path.parent_path(), ignored);
  const std::string text = to_text(line) + "\n";
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const bool written =
      file >= 0 && write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (file >= 0) close(file);
  if (!written && !policy.audit_path().empty()) {
    fail(ErrorKind::Io,
         "the policy's audit file {} cannot be written; mend its folder or permissions",
         path.string());
  }
}

void enforce_policy(const Request& request, Observer& observer) {
  const Policy policy = Policy::in_force();
  const std::string operation(operation_name(request.operation));
  const std::string content = to_text(to_json(request));
  const PolicyFinding* refusal = nullptr;
  const std::vector<PolicyFinding> findings = policy.check(texts_of(request));
  for (const PolicyFinding& finding : findings) {
    write_audit_line(policy, finding, operation, content);
    const std::string reason = finding.reason.empty() ? "" : ": " + finding.reason;
    if (finding.action == PolicyAction::Warn) {
      observer.notice(
          fmt::format("the policy's rule '{}' warns of {}{}", finding.rule, finding.field, reason));
    } else if (refusal == nullptr) {
      refusal = &finding;
    }
  }
  if (refusal == nullptr) return;
  fail(ErrorKind::Refused, "refused by the rule '{}' of {} for {}{}; nothing was made or changed",
       refusal->rule, policy.name(), refusal->field,
       refusal->reason.empty() ? "" : " (" + refusal->reason + ")");
}

}  // namespace sora
