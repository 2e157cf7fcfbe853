// YAML, by libyaml's events: a list of jobs, or a mapping with `defaults` and `jobs`. A job is a
// mapping, or a text that is its prompt. Anchors, aliases and tags are refused: nothing here needs
// them, and they let a small file mean a huge one.
#include <yaml.h>

#include <memory>

#include "lib/jobs/prompt_file.h"

namespace sora {
namespace {

struct Node {
  enum class Kind { Scalar, List, Mapping };
  Kind kind = Kind::Scalar;
  Place at;
  std::string text;
  bool plain = false;
  std::vector<Node> items;  // of a mapping: key, value, key, value, ...
};

struct YamlError {
  Place at;
  std::string message;
};

class EventReader {
 public:
  explicit EventReader(std::string_view text) {
    if (yaml_parser_initialize(&parser_) == 0) throw std::bad_alloc();
    yaml_parser_set_encoding(&parser_, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()),
                                 text.size());
  }
  ~EventReader() {
    yaml_event_delete(&event_);
    yaml_parser_delete(&parser_);
  }
  EventReader(const EventReader&) = delete;
  EventReader& operator=(const EventReader&) = delete;

  const yaml_event_t& next() {
    yaml_event_delete(&event_);
    if (yaml_parser_parse(&parser_, &event_) == 0) {
      throw YamlError{place(parser_.problem_mark),
                      std::string("not YAML: ") +
                          (parser_.problem != nullptr ? parser_.problem : "unreadable")};
    }
    return event_;
  }

  static Place place(const yaml_mark_t& mark) {
    return {static_cast<int>(mark.line) + 1, static_cast<int>(mark.column) + 1};
  }

 private:
  yaml_parser_t parser_ = {};
  yaml_event_t event_ = {};
};

// The node that `event` begins.
Node read_node(EventReader& reader, const yaml_event_t& event, int depth) {
  Node node;
  node.at = EventReader::place(event.start_mark);
  if (depth > kMaxPromptFileDepth) throw YamlError{node.at, "this is nested too deep"};
  if (event.type == YAML_ALIAS_EVENT)
    throw YamlError{node.at, "aliases are not read; write the value out, or under defaults"};
  if (event.type == YAML_SCALAR_EVENT) {
    if (event.data.scalar.anchor != nullptr)
      throw YamlError{node.at, "anchors are not read; put what jobs share under defaults"};
    node.text.assign(reinterpret_cast<const char*>(event.data.scalar.value),
                     event.data.scalar.length);
    node.plain = event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return node;
  }
  const bool is_list = event.type == YAML_SEQUENCE_START_EVENT;
  node.kind = is_list ? Node::Kind::List : Node::Kind::Mapping;
  const yaml_event_type_t end = is_list ? YAML_SEQUENCE_END_EVENT : YAML_MAPPING_END_EVENT;
  for (;;) {
    const yaml_event_t& item = reader.next();
    if (item.type == end) return node;
    node.items.push_back(read_node(reader, item, depth + 1));
  }
}

PromptValue value_of(const Node& node) {
  PromptValue value;
  value.at = node.at;
  if (node.kind == Node::Kind::Mapping)
    throw YamlError{node.at,
                    "a mapping is no value; write a text, a number, true, false or a list"};
  if (node.kind == Node::Kind::List) {
    value.kind = PromptValue::Kind::List;
    for (const Node& item : node.items) value.items.push_back(value_of(item));
    return value;
  }
  const bool is_null = node.plain && (node.text.empty() || node.text == "~" || node.text == "null");
  const bool is_boolean = node.plain && (node.text == "true" || node.text == "false");
  value.kind = is_null      ? PromptValue::Kind::Null
               : is_boolean ? PromptValue::Kind::Boolean
                            : PromptValue::Kind::Text;
  value.boolean = node.text == "true";
  value.text = node.text;
  return value;
}

class DocumentReader {
 public:
  DocumentReader(PromptFile& file, const std::string& name) : file_(file), name_(name) {}

  void read(const Node& root) {
    if (root.kind == Node::Kind::List) return read_jobs(root);
    if (root.kind != Node::Kind::Mapping)
      return fault(root.at, "the file is a list of jobs, or a mapping with defaults and jobs");
    bool has_jobs = false;
    for (size_t i = 0; i + 1 < root.items.size(); i += 2) {
      if (root.items[i].text == "defaults") read_fields(root.items[i + 1], defaults_);
    }
    for (size_t i = 0; i + 1 < root.items.size(); i += 2) {
      const Node& key = root.items[i];
      if (key.text == "defaults") continue;
      if (key.text == "jobs") {
        has_jobs = true;
        read_jobs(root.items[i + 1]);
      } else {
        fault(key.at,
              fmt::format(
                  "'{}' is neither defaults nor jobs; options for all jobs belong under defaults",
                  key.text));
      }
    }
    if (!has_jobs) fault(root.at, "there are no jobs; write a list of them under jobs");
  }

 private:
  void fault(Place at, std::string message) {
    file_.faults.push_back({name_, at, ErrorKind::Usage, std::move(message)});
  }

  void read_jobs(const Node& list) {
    if (list.kind != Node::Kind::List)
      return fault(list.at, "jobs are a list; begin each with a dash");
    for (const Node& item : list.items) {
      PromptEntry entry;
      entry.at = item.at;
      entry.defaults = defaults_;
      if (item.kind == Node::Kind::Scalar) {
        entry.fields.push_back({"prompt", item.at, value_of(item)});
        entry.fields.back().value.kind = PromptValue::Kind::Text;
      } else {
        read_fields(item, entry.fields);
      }
      file_.entries.push_back(std::move(entry));
    }
  }

  void read_fields(const Node& mapping, std::vector<PromptField>& fields) {
    if (mapping.kind != Node::Kind::Mapping)
      return fault(mapping.at, "a job is a mapping of options, or a text");
    for (size_t i = 0; i + 1 < mapping.items.size(); i += 2) {
      const Node& key = mapping.items[i];
      if (key.kind != Node::Kind::Scalar) {
        fault(key.at, "an option's name is a word");
        continue;
      }
      try {
        fields.push_back({key.text, key.at, value_of(mapping.items[i + 1])});
      } catch (const YamlError& error) {
        fault(error.at, error.message);
      }
    }
  }

  PromptFile& file_;
  const std::string& name_;
  std::vector<PromptField> defaults_;
};

}  // namespace

PromptFile parse_yaml_prompts(std::string_view text, const std::string& name) {
  PromptFile file;
  try {
    EventReader reader(text);
    DocumentReader document(file, name);
    for (;;) {
      const yaml_event_t& event = reader.next();
      if (event.type == YAML_STREAM_END_EVENT) return file;
      if (event.type == YAML_SCALAR_EVENT || event.type == YAML_SEQUENCE_START_EVENT ||
          event.type == YAML_MAPPING_START_EVENT || event.type == YAML_ALIAS_EVENT) {
        document.read(read_node(reader, event, 0));
      }
    }
  } catch (const YamlError& error) {
    file.faults.push_back({name, error.at, ErrorKind::Input, error.message});
  }
  return file;
}

}  // namespace sora
