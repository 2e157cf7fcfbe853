// A batch's prompt file: TXT, JSON Lines, CSV or YAML, read into entries whose every name and value
// knows where it was written. What the names mean is the command line's affair.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/core/error.h"

namespace sora {

// Both from 1; columns count characters. Line 0: not in the file, but on the command line.
struct Place {
  int line = 0;
  int column = 0;
  auto operator<=>(const Place&) const = default;
};

// Something wrong with a batch, found before anything is made.
struct Fault {
  std::string file;
  Place at;
  ErrorKind kind = ErrorKind::Usage;
  std::string message;
};

std::string to_string(const Fault& fault);  // "prompts.txt:12:7: there is no option --step"

struct PromptValue {
  enum class Kind { Null, Boolean, Text, List };
  Kind kind = Kind::Null;
  bool boolean = false;
  std::string text;  // numbers as they were written
  std::vector<PromptValue> items;
  Place at;
};

struct PromptField {
  std::string name;  // without dashes in front
  Place at;
  PromptValue value;
};

struct PromptEntry {
  Place at;
  std::vector<PromptField> fields;
  std::vector<PromptField> defaults;  // what the file said for all entries up to here
};

enum class PromptFormat { Text, JsonLines, Csv, Yaml };

std::optional<PromptFormat> prompt_format_named(std::string_view name);  // txt | jsonl | csv | yaml

// By the file's extension; for stdin and unknown ones JSON Lines where the text begins with a
// brace, otherwise TXT.
PromptFormat prompt_format_of(const std::string& path, std::string_view text);

struct PromptFile {
  std::vector<PromptEntry> entries;
  std::vector<Fault> faults;
};

inline constexpr size_t kMaxPromptFileBytes = 256 << 20;
inline constexpr int kMaxPromptFileDepth = 16;

// `name` is what faults call the file. Never throws for what the text holds: that becomes faults.
PromptFile parse_prompts(std::string_view text, const std::string& name, PromptFormat format);

// The formats, one file each; the text is UTF-8 without byte order mark.
PromptFile parse_text_prompts(std::string_view text, const std::string& name);
PromptFile parse_json_lines(std::string_view text, const std::string& name);
PromptFile parse_csv_prompts(std::string_view text, const std::string& name);
PromptFile parse_yaml_prompts(std::string_view text, const std::string& name);

}  // namespace sora
