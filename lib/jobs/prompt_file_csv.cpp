// CSV after RFC 4180: the first record names the columns; quoted cells may hold commas, quotes
// doubled, and line ends. An empty cell is no wish.
#include "lib/jobs/text_places.h"

namespace sora {
namespace {

struct Cell {
  std::string text;
  size_t offset = 0;
};

class CsvReader {
 public:
  CsvReader(std::string_view text, const std::string& name, const TextPlaces& places,
            std::vector<Fault>& faults)
      : text_(text), name_(name), places_(places), faults_(faults) {}

  bool at_end() const { return position_ >= text_.size(); }

  std::vector<Cell> record() {
    std::vector<Cell> cells;
    for (;;) {
      cells.push_back(cell());
      if (at_end()) return cells;
      const char end = text_[position_++];
      if (end == ',') continue;
      if (end == '\r' && position_ < text_.size() && text_[position_] == '\n') ++position_;
      return cells;
    }
  }

 private:
  bool at_cell_end() const {
    return at_end() || text_[position_] == ',' || text_[position_] == '\n' ||
           text_[position_] == '\r';
  }

  Cell cell() {
    Cell cell;
    cell.offset = position_;
    if (at_end() || text_[position_] != '"') {
      while (!at_cell_end()) cell.text += text_[position_++];
      return cell;
    }
    const size_t opened = position_++;
    for (;;) {
      if (at_end()) {
        faults_.push_back({name_, places_.at(opened), ErrorKind::Input,
                           "a quote is opened here and never closed"});
        return cell;
      }
      const char c = text_[position_++];
      if (c != '"') {
        cell.text += c;
      } else if (!at_end() && text_[position_] == '"') {
        cell.text += '"';
        ++position_;
      } else {
        break;
      }
    }
    if (!at_cell_end()) {
      faults_.push_back({name_, places_.at(position_), ErrorKind::Input,
                         "text follows a closing quote; double a quote inside a cell"});
      while (!at_cell_end()) ++position_;
    }
    return cell;
  }

  std::string_view text_;
  const std::string& name_;
  const TextPlaces& places_;
  std::vector<Fault>& faults_;
  size_t position_ = 0;
};

std::string trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t") + 1 - first);
}

}  // namespace

PromptFile parse_csv_prompts(std::string_view text, const std::string& name) {
  PromptFile file;
  const TextPlaces places(text);
  CsvReader reader(text, name, places, file.faults);
  if (reader.at_end()) return file;
  const std::vector<Cell> header = reader.record();
  while (!reader.at_end()) {
    const std::vector<Cell> record = reader.record();
    if (record.size() == 1 && trimmed(record[0].text).empty()) continue;
    PromptEntry entry;
    entry.at = places.at(record[0].offset);
    if (record.size() != header.size()) {
      file.faults.push_back({name, entry.at, ErrorKind::Input,
                             fmt::format("this record has {} cells and the header {}; put a text "
                                         "with commas in double quotes",
                                         record.size(), header.size())});
      continue;
    }
    for (size_t column = 0; column < header.size(); ++column) {
      if (trimmed(record[column].text).empty()) continue;
      PromptField field{trimmed(header[column].text), places.at(header[column].offset), {}};
      field.value.kind = PromptValue::Kind::Text;
      field.value.text = trimmed(record[column].text);
      field.value.at = places.at(record[column].offset);
      if (field.value.text == "true" || field.value.text == "false") {
        field.value.kind = PromptValue::Kind::Boolean;
        field.value.boolean = field.value.text == "true";
      }
      entry.fields.push_back(std::move(field));
    }
    file.entries.push_back(std::move(entry));
  }
  return file;
}

}  // namespace sora
