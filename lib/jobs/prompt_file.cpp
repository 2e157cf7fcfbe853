#include "lib/jobs/prompt_file.h"

#include <algorithm>
#include <filesystem>

#include "lib/core/utf8.h"
#include "lib/jobs/text_places.h"

namespace sora {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

struct FormatName {
  std::string_view name;
  PromptFormat format;
};

constexpr FormatName kFormatNames[] = {
    {"txt", PromptFormat::Text},         {"jsonl", PromptFormat::JsonLines},
    {"ndjson", PromptFormat::JsonLines}, {"csv", PromptFormat::Csv},
    {"yaml", PromptFormat::Yaml},        {"yml", PromptFormat::Yaml},
};

// The first byte that is no UTF-8, found by halving, or npos.
size_t first_bad_byte(std::string_view text) {
  if (is_valid_utf8(text)) return std::string_view::npos;
  const TextPlaces places(text);
  for (size_t index = 0; index < places.num_lines(); ++index) {
    if (!is_valid_utf8(places.line(index))) return places.line_start(index);
  }
  return 0;
}

}  // namespace

std::string to_string(const Fault& fault) {
  if (fault.at.line == 0) return fmt::format("{}: {}", fault.file, fault.message);
  return fmt::format("{}:{}:{}: {}", fault.file, fault.at.line, fault.at.column, fault.message);
}

std::optional<PromptFormat> prompt_format_named(std::string_view name) {
  for (const FormatName& row : kFormatNames) {
    if (row.name == name) return row.format;
  }
  return std::nullopt;
}

PromptFormat prompt_format_of(const std::string& path, std::string_view text) {
  std::string extension = std::filesystem::path(path).extension().string();
  if (!extension.empty()) extension.erase(0, 1);
  if (const auto format = prompt_format_named(extension)) return *format;
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && text[first] == '{' ? PromptFormat::JsonLines
                                                               : PromptFormat::Text;
}

PromptFile parse_prompts(std::string_view text, const std::string& name, PromptFormat format) {
  if (text.size() > kMaxPromptFileBytes) {
    return {{},
            {{name,
              {1, 1},
              ErrorKind::Input,
              fmt::format("the file has {} bytes; at most {} are read", text.size(),
                          kMaxPromptFileBytes)}}};
  }
  if (text.substr(0, kByteOrderMark.size()) == kByteOrderMark)
    text.remove_prefix(kByteOrderMark.size());
  if (const size_t bad = first_bad_byte(text); bad != std::string_view::npos) {
    return {{},
            {{name, TextPlaces(text).at(bad), ErrorKind::Input,
              "this line is not UTF-8 text; save the file as UTF-8"}}};
  }
  switch (format) {
    case PromptFormat::Text:
      return parse_text_prompts(text, name);
    case PromptFormat::JsonLines:
      return parse_json_lines(text, name);
    case PromptFormat::Csv:
      return parse_csv_prompts(text, name);
    case PromptFormat::Yaml:
      return parse_yaml_prompts(text, name);
  }
  return {};
}

}  // namespace sora
