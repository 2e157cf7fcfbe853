// What an operator does not want made: rules over the texts of a request, in a TOML file
// (docs/trust.md), and lists of pictures (image_policy.h). Rules refuse or warn; nothing is ever
// rewritten.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/core/observer.h"
#include "lib/pipelines/request.h"

namespace sora {

enum class PolicyAction { Warn, Refuse };

// A text that reaches the model.
struct PolicyText {
  std::string field;  // "prompt", "negative_prompt", "cards[2].text"
  std::string text;   // UTF-8
  bool is_negative = false;
};

struct PolicyFinding {
  std::string rule;
  PolicyAction action = PolicyAction::Refuse;
  std::string reason;
  std::string field;
};

// Lists of PDQ hashes of pictures that are refused as sources and as results.
struct ImageHashSettings {
  std::vector<std::filesystem::path> lists;
  int max_distance = 31;  // bits of 256
  int min_quality = 50;   // hashes of flatter pictures tell too little
};

class Policy {
 public:
  // `name` stands in messages. Throws Error(Input) with line and reason for what is no policy.
  static Policy from_toml(std::string_view toml, const std::string& name);
  // The file $SORA_POLICY, else sora/policy.toml in $XDG_CONFIG_HOME or ~/.config, else
  // /etc/sora/policy.toml, else the one built in. Throws Error(NotFound) where $SORA_POLICY names
  // no file.
  static Policy in_force();
  static Policy built_in();

  // Each text by itself, then all positive ones as one. A rule is reported once.
  std::vector<PolicyFinding> check(const std::vector<PolicyText>& texts) const;

  const std::string& name() const;
  const std::string& sha256() const;  // of the file's bytes
  const ImageHashSettings& images() const;
  const std::string& audit_path() const;  // empty: the default one

 private:
  static Policy from_file(const std::string& path);

  struct Rules;
  std::shared_ptr<const Rules> rules_;
};

// Every text of a request, whatever the operation: the strings of its JSON form that are not names
// of files, models and settings. Prompts are given as written, and once more as the text encoder
// will read them where that differs.
std::vector<PolicyText> texts_of(const Request& request);

// Appends to the policy's audit file: time, rule, field, the policy's digest, and the digest of
// `content`. Throws Error(Io) only where the policy itself names the file.
void write_audit_line(const Policy& policy, const PolicyFinding& finding,
                      std::string_view operation, std::string_view content);

// Throws Error(Refused) naming the rule; warnings go to the observer. Both leave a line in the
// audit file.
void enforce_policy(const Request& request, Observer& observer);

}  // namespace sora
