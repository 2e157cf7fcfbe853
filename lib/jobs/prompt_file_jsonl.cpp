// JSON Lines: an object a line, or a string that is the prompt; {"defaults": {...}} holds for the
// lines after it. nlohmann's SAX parser tells no positions, so its input counts the characters it
// has taken.
#include <nlohmann/json.hpp>

#include "lib/jobs/text_places.h"

namespace sora {
namespace {

// Reads characters and remembers where the reader stands.
class CountingIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  CountingIterator(const char* position, const char** furthest)
      : position_(position), furthest_(furthest) {}
  reference operator*() const { return *position_; }
  CountingIterator& operator++() {
    ++position_;
    if (furthest_ != nullptr) *furthest_ = position_;
    return *this;
  }
  CountingIterator operator++(int) {
    CountingIterator before = *this;
    ++*this;
    return before;
  }
  bool operator==(const CountingIterator& other) const { return position_ == other.position_; }
  bool operator!=(const CountingIterator& other) const { return position_ != other.position_; }

 private:
  const char* position_;
  const char** furthest_;
};

// Builds the fields of a line. An object inside an object is only allowed below "defaults".
class LineReader : public nlohmann::json_sax<nlohmann::json> {
 public:
  LineReader(std::string_view line, size_t start, const TextPlaces& places)
      : line_(line), start_(start), places_(places) {}

  bool parse() {
    taken_ = line_.data();
    const CountingIterator begin(line_.data(), &taken_);
    const CountingIterator end(line_.data() + line_.size(), nullptr);
    return nlohmann::json::sax_parse(begin, end, this);
  }

  std::vector<PromptField> fields;
  std::vector<PromptField> defaults;
  bool has_defaults = false;
  std::string complaint;
  Place complaint_at;

  bool null() override { return value({}); }
  bool boolean(bool truth) override {
    PromptValue result;
    result.kind = PromptValue::Kind::Boolean;
    result.boolean = truth;
    return value(std::move(result));
  }
  bool number_integer(number_integer_t number) override { return scalar(std::to_string(number)); }
  bool number_unsigned(number_unsigned_t number) override { return scalar(std::to_string(number)); }
  bool number_float(number_float_t, const string_t& written) override { return scalar(written); }
  bool string(string_t& text) override { return scalar(text); }
  bool binary(binary_t&) override { return false; }

  bool start_object(std::size_t) override {
    const Place here = bracket_place();
    if (depth_ == 1 && key_.name == "defaults" && lists_.empty()) {
      has_defaults = true;
    } else if (depth_ > 0 || !lists_.empty()) {
      return complain(
          here, fmt::format("'{}' is an object; write a text, a number, true, false or a list",
                            key_.name));
    }
    ++depth_;
    return true;
  }
  bool key(string_t& name) override {
    key_ = {name, token_place(), {}};
    return true;
  }
  bool end_object() override {
    --depth_;
    previous_ = offset();
    return true;
  }
  bool start_array(std::size_t) override {
    const Place here = bracket_place();
    if (depth_ == 0)
      return complain(here, "a line is an object or a text, not a list; write one job a line");
    if (lists_.size() >= kMaxPromptFileDepth)
      return complain(here, "these lists are nested too deep");
    PromptValue list;
    list.kind = PromptValue::Kind::List;
    list.at = here;
    lists_.push_back(std::move(list));
    return true;
  }
  bool end_array() override {
    PromptValue list = std::move(lists_.back());
    lists_.pop_back();
    previous_ = offset();
    return place_value(std::move(list));
  }
  bool parse_error(std::size_t, const std::string&,
                   const nlohmann::detail::exception& error) override {
    std::string reason = error.what();
    if (const size_t detail = reason.find("; "); detail != std::string::npos)
      reason = reason.substr(detail + 2);
    return complain(places_.at(start_ + std::max<size_t>(offset(), 1) - 1), "not JSON: " + reason);
  }

 private:
  size_t offset() const { return static_cast<size_t>(taken_ - line_.data()); }

  // A scalar or key begins after what was read before it, and the blanks and punctuation that
  // follow.
  Place token_place() {
    const size_t begin = line_.find_first_not_of(" \t\r,:", previous_);
    previous_ = offset();
    return places_.at(start_ + std::min(begin, line_.size()));
  }

  // The bracket or brace that was read just now.
  Place bracket_place() {
    previous_ = offset();
    return places_.at(start_ + offset() - 1);
  }

  bool complain(Place at, std::string message) {
    complaint_at = at;
    complaint = std::move(message);
    return false;
  }

  bool scalar(std::string text) {
    PromptValue result;
    result.kind = PromptValue::Kind::Text;
    result.text = std::move(text);
    return value(std::move(result));
  }

  bool value(PromptValue result) {
    result.at = token_place();
    return place_value(std::move(result));
  }

  bool place_value(PromptValue result) {
    if (!lists_.empty()) {
      lists_.back().items.push_back(std::move(result));
      return true;
    }
    if (depth_ == 0) {
      if (result.kind != PromptValue::Kind::Text)
        return complain(result.at, "a line is an object or a text");
      key_ = {"prompt", result.at, {}};
    }
    PromptField field = key_;
    field.value = std::move(result);
    (depth_ == 2 ? defaults : fields).push_back(std::move(field));
    return true;
  }

  std::string_view line_;
  size_t start_;
  const TextPlaces& places_;
  const char* taken_ = nullptr;
  size_t previous_ = 0;
  int depth_ = 0;
  PromptField key_;
  std::vector<PromptValue> lists_;
};

}  // namespace

PromptFile parse_json_lines(std::string_view text, const std::string& name) {
  PromptFile file;
  const TextPlaces places(text);
  std::vector<PromptField> defaults;
  for (size_t index = 0; index < places.num_lines(); ++index) {
    const std::string_view line = places.line(index);
    const size_t first = line.find_first_not_of(" \t");
    if (first == std::string_view::npos) continue;
    const Place at = places.at(places.line_start(index) + first);
    LineReader reader(line, places.line_start(index), places);
    if (!reader.parse()) {
      file.faults.push_back({name, reader.complaint_at, ErrorKind::Usage, reader.complaint});
      continue;
    }
    if (reader.has_defaults) {
      if (!reader.fields.empty()) {
        file.faults.push_back(
            {name, reader.fields.front().at, ErrorKind::Usage,
             "a line of defaults holds nothing else; put the job on a line of its own"});
      }
      defaults.insert(defaults.end(), reader.defaults.begin(), reader.defaults.end());
      continue;
    }
    file.entries.push_back({at, std::move(reader.fields), defaults});
  }
  return file;
}

}  // namespace sora
