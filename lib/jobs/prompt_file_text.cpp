// TXT: a prompt a line; empty lines and lines that begin with # are left out; options follow " -- "
// or the first " --name"; a line of options alone sets defaults for the lines after it.
#include "lib/jobs/prompt_words.h"

namespace sora {
namespace {

// Where the options of a line begin (its "--"), or its size.
size_t options_start(std::string_view line) {
  for (size_t dashes = line.find("--"); dashes != std::string_view::npos;
       dashes = line.find("--", dashes + 1)) {
    const bool begins_word = dashes == 0 || line[dashes - 1] == ' ' || line[dashes - 1] == '\t';
    const char next = dashes + 2 < line.size() ? line[dashes + 2] : ' ';
    if (begins_word && (next == ' ' || next == '\t' || (next >= 'a' && next <= 'z'))) return dashes;
  }
  return line.size();
}

}  // namespace

PromptFile parse_text_prompts(std::string_view text, const std::string& name) {
  PromptFile file;
  const TextPlaces places(text);
  std::vector<PromptField> defaults;
  for (size_t index = 0; index < places.num_lines(); ++index) {
    const std::string_view line = places.line(index);
    const size_t first = line.find_first_not_of(" \t");
    if (first == std::string_view::npos || line[first] == '#') continue;

    const size_t start = places.line_start(index);
    const size_t dashes = options_start(line);
    size_t options = dashes;
    if (line.substr(dashes, 2) == "--" &&
        (dashes + 2 == line.size() || line[dashes + 2] == ' ' || line[dashes + 2] == '\t')) {
      options = dashes + 2;
    }
    const std::vector<PlacedWord> words =
        split_words(text, start + std::min(options, line.size()), start + line.size(), places, name,
                    file.faults);
    std::vector<PromptField> fields = fields_of_words(words, name, file.faults);
    if (dashes == first) {
      defaults.insert(defaults.end(), fields.begin(), fields.end());
      continue;
    }
    PromptEntry entry;
    entry.at = places.at(start + first);
    entry.defaults = defaults;
    PromptField prompt{"prompt", entry.at, {}};
    prompt.value.kind = PromptValue::Kind::Text;
    prompt.value.at = entry.at;
    const size_t last = line.find_last_not_of(" \t", dashes == 0 ? 0 : dashes - 1);
    prompt.value.text = std::string(line.substr(first, last + 1 - first));
    entry.fields.push_back(std::move(prompt));
    for (PromptField& field : fields) entry.fields.push_back(std::move(field));
    file.entries.push_back(std::move(entry));
  }
  return file;
}

}  // namespace sora
