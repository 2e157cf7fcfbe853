// POSIX shell, "Quoting".
#include "lib/jobs/prompt_words.h"

namespace sora {
namespace {

bool is_option(const PlacedWord& word) {
  return !word.quoted && word.text.size() > 1 && word.text[0] == '-' &&
         (std::isdigit(static_cast<unsigned char>(word.text[1])) == 0) && word.text[1] != '.';
}

PromptValue text_value(const PlacedWord& word) {
  PromptValue value;
  value.kind = PromptValue::Kind::Text;
  value.text = word.text;
  value.at = word.at;
  return value;
}

}  // namespace

std::vector<PlacedWord> split_words(std::string_view text, size_t begin, size_t end,
                                    const TextPlaces& places, const std::string& file,
                                    std::vector<Fault>& faults) {
  std::vector<PlacedWord> words;
  size_t i = begin;
  while (i < end) {
    if (text[i] == ' ' || text[i] == '\t') {
      ++i;
      continue;
    }
    PlacedWord word;
    word.at = places.at(i);
    char quote = 0;
    for (; i < end && (quote != 0 || (text[i] != ' ' && text[i] != '\t')); ++i) {
      const char c = text[i];
      if (quote == 0 && (c == '\'' || c == '"')) {
        quote = c;
        word.quoted = word.quoted || word.text.empty();
      } else if (quote != 0 && c == quote) {
        quote = 0;
      } else if (c == '\\' && quote != '\'' && i + 1 < end &&
                 (quote == 0 || text[i + 1] == '"' || text[i + 1] == '\\')) {
        word.text += text[++i];
      } else {
        word.text += c;
      }
    }
    if (quote != 0)
      faults.push_back({file, word.at, ErrorKind::Usage,
                        fmt::format("a quote {} is opened here and never closed", quote)});
    words.push_back(std::move(word));
  }
  return words;
}

std::vector<PromptField> fields_of_words(const std::vector<PlacedWord>& words,
                                         const std::string& file, std::vector<Fault>& faults) {
  std::vector<PromptField> fields;
  for (size_t i = 0; i < words.size();) {
    const PlacedWord& word = words[i];
    if (!is_option(word)) {
      if (i == 0) {
        fields.push_back({"operation", word.at, text_value(word)});
      } else {
        faults.push_back({file, word.at, ErrorKind::Usage,
                          fmt::format("'{}' belongs to no option; write --input {} or put a text "
                                      "of several words in quotes",
                                      word.text, word.text)});
      }
      ++i;
      continue;
    }
    PromptField field;
    field.at = word.at;
    const size_t equals = word.text.find('=');
    const std::string flag = word.text.substr(0, equals);
    field.name =
        flag.substr(flag.find_first_not_of('-') == std::string::npos ? flag.size()
                                                                     : flag.find_first_not_of('-'));
    ++i;
    std::vector<PromptValue> values;
    if (equals != std::string::npos) {
      PlacedWord value{word.text.substr(equals + 1), word.at, false};
      value.at.column += static_cast<int>(equals) + 1;
      values.push_back(text_value(value));
    } else {
      for (; i < words.size() && !is_option(words[i]); ++i) values.push_back(text_value(words[i]));
    }
    if (values.empty()) {
      field.value.kind = PromptValue::Kind::Boolean;
      field.value.boolean = true;
      field.value.at = word.at;
    } else if (values.size() == 1) {
      field.value = values.front();
    } else {
      field.value.kind = PromptValue::Kind::List;
      field.value.at = values.front().at;
      field.value.items = std::move(values);
    }
    fields.push_back(std::move(field));
  }
  return fields;
}

}  // namespace sora
