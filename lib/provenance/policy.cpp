#include "lib/provenance/policy.h"

#include <toml++/toml.h>

#include <array>
#include <cstdlib>
#include <map>
#include <mutex>
#include <optional>
#include <set>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/core/utf8.h"
#include "lib/provenance/digest.h"
#include "lib/provenance/policy_term.h"
#include "sora/embedded_policy.h"

namespace sora {
namespace {

using Terms = std::vector<PolicyTerm>;

struct Rule {
  std::string id;
  std::string reason;
  PolicyAction action = PolicyAction::Refuse;
  bool reads_negative = true;
  Terms any;               // one is enough
  std::vector<Terms> all;  // one of each
  Terms except;            // taken out before the rule looks

  bool matches(const std::vector<TextForm>& forms) const;
};

bool matches_one(const Terms& terms, const std::vector<TextForm>& forms) {
  for (const TextForm& form : forms) {
    for (const PolicyTerm& term : terms) {
      if (term.matches(form)) return true;
    }
  }
  return false;
}

bool Rule::matches(const std::vector<TextForm>& forms) const {
  std::vector<TextForm> left = forms;
  for (TextForm& form : left) {
    for (const PolicyTerm& term : except) term.take_out(form);
  }
  if (matches_one(any, left)) return true;
  if (all.empty()) return false;
  for (const Terms& terms : all) {
    if (!matches_one(terms, left)) return false;
  }
  return true;
}

// Reads the members of one table; what it does not know is an error with its line.
class TableReader {
 public:
  TableReader(const toml::table& table, const std::string& file, std::string where)
      : table_(table), file_(file), where_(std::move(where)) {}

  [[noreturn]] void complain(const toml::node& node, const std::string& what) const {
    fail(ErrorKind::Input, "{}: line {}: {} {}", file_, node.source().begin.line, where_, what);
  }

  const toml::node* find(const std::string& key) {
    known_.insert(key);
    return table_.get(key);
  }

  template <typename T>
  T value(const std::string& key, T fallback) {
    const toml::node* node = find(key);
    if (node == nullptr) return fallback;
    const auto found = node->value_exact<T>();
    if (!found) complain(*node, fmt::format("has a '{}' of the wrong type", key));
    return *found;
  }

  std::vector<std::string> strings(const std::string& key) {
    const toml::node* node = find(key);
    return node == nullptr ? std::vector<std::string>{} : strings_of(*node, key);
  }

  std::vector<std::string> strings_of(const toml::node& node, const std::string& key) const {
    const toml::array* array = node.as_array();
    if (array == nullptr) complain(node, fmt::format("needs a list of texts as '{}'", key));
    std::vector<std::string> texts;
    for (const toml::node& entry : *array) {
      if (!entry.is_string())
        complain(entry, fmt::format("has an entry of '{}' that is no text", key));
      texts.push_back(*entry.value<std::string>());
    }
    return texts;
  }

  void check_all_known() const {
    for (const auto& [key, node] : table_) {
      if (!known_.count(std::string(key.str())))
        complain(node, fmt::format("has an unknown key '{}'", key.str()));
    }
  }

 private:
  const toml::table& table_;
  const std::string& file_;
  std::string where_;
  std::set<std::string> known_;
};

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// Where a rule's finding is shown when it took several texts together.
constexpr char kTogether[] = "the texts together";

}  // namespace

struct Policy::Rules {
  std::string name;
  std::string sha256;
  std::string audit_path;
  ImageHashSettings images;
  std::map<std::string, Terms> lists;
  std::vector<Rule> rules;

  // An entry "@list" stands for the list's entries.
  Terms terms_of(const std::vector<std::string>& entries) const {
    Terms terms;
    for (const std::string& entry : entries) {
      if (entry.rfind('@', 0) != 0) {
        terms.emplace_back(entry);
        continue;
      }
      const auto list = lists.find(entry.substr(1));
      if (list == lists.end()) fail(ErrorKind::Input, "{}: there is no list '{}'", name, entry);
      terms.insert(terms.end(), list->second.begin(), list->second.end());
    }
    return terms;
  }

  Rule rule_of(const toml::table& table) const {
    TableReader reader(table, name, "the rule");
    Rule rule;
    rule.id = reader.value<std::string>("id", "");
    if (rule.id.empty()) reader.complain(table, "has no id");
    rule.reason = reader.value<std::string>("reason", "");
    const std::string action = reader.value<std::string>("action", "refuse");
    if (action != "refuse" && action != "warn")
      reader.complain(table, "has an action that is neither refuse nor warn");
    rule.action = action == "warn" ? PolicyAction::Warn : PolicyAction::Refuse;
    rule.reads_negative = reader.value<bool>("negative", true);
    rule.any = terms_of(reader.strings("any"));
    rule.except = terms_of(reader.strings("except"));
    if (const toml::node* all = reader.find("all")) {
      if (!all->is_array()) reader.complain(*all, "needs a list of lists as 'all'");
      for (const toml::node& group : *all->as_array())
        rule.all.push_back(terms_of(reader.strings_of(group, "all")));
    }
    if (rule.any.empty() && rule.all.empty())
      reader.complain(table, "looks for nothing; give it 'any' or 'all'");
    reader.check_all_known();
    return rule;
  }

  void read(const toml::table& document) {
    TableReader reader(document, name, "the policy");
    audit_path = reader.value<std::string>("audit", "");
    if (const toml::node* node = reader.find("lists")) {
      if (!node->is_table()) reader.complain(*node, "needs a table as 'lists'");
      for (const auto& [key, entries] : *node->as_table()) {
        lists[std::string(key.str())] =
            terms_of(reader.strings_of(entries, std::string(key.str())));
      }
    }
    if (const toml::node* node = reader.find("images")) {
      if (!node->is_table()) reader.complain(*node, "needs a table as 'images'");
      TableReader images_reader(*node->as_table(), name, "images");
      for (const std::string& list : images_reader.strings("hash_lists"))
        images.lists.emplace_back(list);
      images.max_distance =
          static_cast<int>(images_reader.value<int64_t>("max_distance", images.max_distance));
      images.min_quality =
          static_cast<int>(images_reader.value<int64_t>("min_quality", images.min_quality));
      images_reader.check_all_known();
    }
    if (const toml::node* node = reader.find("rule")) {
      if (!node->is_array_of_tables()) reader.complain(*node, "needs [[rule]] tables");
      for (const toml::node& rule : *node->as_array()) rules.push_back(rule_of(*rule.as_table()));
    }
    reader.check_all_known();
  }
};

Policy Policy::from_toml(std::string_view toml, const std::string& name) {
  auto rules = std::make_shared<Rules>();
  rules->name = name;
  rules->sha256 = sha256_of_bytes(toml);
  if (!is_valid_utf8(toml)) fail(ErrorKind::Input, "{} is not UTF-8 text; save it as UTF-8", name);
  try {
    rules->read(toml::parse(toml, name));
  } catch (const toml::parse_error& error) {
    fail(ErrorKind::Input, "{}: line {}: {}", name, error.source().begin.line, error.description());
  }
  const std::filesystem::path folder = std::filesystem::path(name).parent_path();
  for (std::filesystem::path& list : rules->images.lists) list = folder / list;
  Policy policy;
  policy.rules_ = std::move(rules);
  return policy;
}

// A batch asks for the policy with every job: both are compiled once, a file again when its text
// has changed.
Policy Policy::built_in() {
  static const Policy policy = from_toml(kDefaultPolicy, "the built-in policy");
  return policy;
}

Policy Policy::from_file(const std::string& path) {
  struct Known {
    std::string path;
    std::string text;
    Policy policy;
  };
  static std::mutex mutex;
  static std::optional<Known> last;
  const std::string text = read_file(path);
  const std::lock_guard lock(mutex);
  if (!last || last->path != path || last->text != text)
    last = Known{path, text, from_toml(text, path)};
  return last->policy;
}

Policy Policy::in_force() {
  const std::string chosen = environment("SORA_POLICY");
  if (!chosen.empty()) return from_file(chosen);
  const std::string config = environment("XDG_CONFIG_HOME");
  const std::string home = environment("HOME");
  const std::array<std::string, 2> places = {!config.empty() ? config + "/sora/policy.toml"
                                             : !home.empty() ? home + "/.config/sora/policy.toml"
                                                             : "",
                                             "/etc/sora/policy.toml"};
  for (const std::string& place : places) {
    if (!place.empty() && std::filesystem::exists(place)) return from_file(place);
  }
  return built_in();
}

std::vector<PolicyFinding> Policy::check(const std::vector<PolicyText>& texts) const {
  std::vector<PolicyFinding> findings;
  std::set<std::string> reported;
  const auto look = [&](const std::vector<TextForm>& forms, const std::string& field,
                        bool is_negative) {
    for (const Rule& rule : rules_->rules) {
      if ((is_negative && !rule.reads_negative) || reported.count(rule.id) || !rule.matches(forms))
        continue;
      reported.insert(rule.id);
      findings.push_back({rule.id, rule.action, rule.reason, field});
    }
  };
  std::string together;
  int num_positive = 0;
  for (const PolicyText& text : texts) {
    look(read_forms(text.text), text.field, text.is_negative);
    if (text.is_negative) continue;
    together += text.text + "\n";
    ++num_positive;
  }
  if (num_positive > 1) look(read_forms(together), kTogether, false);
  return findings;
}

const std::string& Policy::name() const { return rules_->name; }
const std::string& Policy::sha256() const { return rules_->sha256; }
const ImageHashSettings& Policy::images() const { return rules_->images; }
const std::string& Policy::audit_path() const { return rules_->audit_path; }

}  // namespace sora
