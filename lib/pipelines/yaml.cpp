// libyaml's document form, walked once. Plain scalars are resolved as YAML 1.2's core schema says;
// sharing by anchors is refused, because a few bytes of it unfold to any size.
#include <yaml.h>

#include <charconv>
#include <memory>

#include "lib/core/error.h"
#include "lib/pipelines/storyboard.h"

namespace sora {
namespace {

using nlohmann::json;

constexpr int kMaxDepth = 32;

class Document {
 public:
  Document(std::string_view text, const std::string& name) : name_(name) {
    if (!yaml_parser_initialize(&parser_)) fail(ErrorKind::Memory, "no memory to read {}", name);
    yaml_parser_set_input_string(&parser_, reinterpret_cast<const unsigned char*>(text.data()),
                                 text.size());
  }
  ~Document() {
    if (is_loaded_) yaml_document_delete(&document_);
    yaml_parser_delete(&parser_);
  }
  Document(const Document&) = delete;
  Document& operator=(const Document&) = delete;

  json read() {
    is_loaded_ = yaml_parser_load(&parser_, &document_);
    if (!is_loaded_) {
      fail(ErrorKind::Input, "{} is not YAML: line {}: {}", name_, parser_.problem_mark.line + 1,
           parser_.problem ? parser_.problem : "unknown problem");
    }
    const yaml_node_t* root = yaml_document_get_root_node(&document_);
    if (!root) fail(ErrorKind::Input, "{} is empty", name_);
    return convert(*root, 0);
  }

 private:
  [[noreturn]] void complain(const yaml_node_t& node, const char* what) const {
    fail(ErrorKind::Input, "{}: line {}: {}", name_, node.start_mark.line + 1, what);
  }

  const yaml_node_t& node(int index) { return *yaml_document_get_node(&document_, index); }

  json convert(const yaml_node_t& node, int depth) {
    if (depth > kMaxDepth) complain(node, "it nests too deep");
    // Every node is reached once from its parent; a second time is an alias.
    const auto index = static_cast<size_t>(&node - document_.nodes.start);
    if (seen_.size() <= index) seen_.resize(index + 1);
    if (seen_[index]) complain(node, "anchors and aliases are not taken; write it out");
    seen_[index] = true;
    if (node.type == YAML_SCALAR_NODE) return scalar(node);
    if (node.type == YAML_SEQUENCE_NODE) {
      json list = json::array();
      for (const int* item = node.data.sequence.items.start; item != node.data.sequence.items.top;
           ++item) {
        list.push_back(convert(this->node(*item), depth + 1));
      }
      return list;
    }
    json object = json::object();
    for (const yaml_node_pair_t* pair = node.data.mapping.pairs.start;
         pair != node.data.mapping.pairs.top; ++pair) {
      const yaml_node_t& key = this->node(pair->key);
      if (key.type != YAML_SCALAR_NODE) complain(key, "a key has to be a word");
      const std::string name(reinterpret_cast<const char*>(key.data.scalar.value),
                             key.data.scalar.length);
      if (object.contains(name)) complain(key, "a key is there twice");
      object[name] = convert(this->node(pair->value), depth + 1);
    }
    return object;
  }

  static json scalar(const yaml_node_t& node) {
    const std::string text(reinterpret_cast<const char*>(node.data.scalar.value),
                           node.data.scalar.length);
    if (node.data.scalar.style != YAML_PLAIN_SCALAR_STYLE) return text;
    if (text.empty() || text == "null" || text == "Null" || text == "NULL" || text == "~")
      return nullptr;
    if (text == "true" || text == "True" || text == "TRUE") return true;
    if (text == "false" || text == "False" || text == "FALSE") return false;
    const char* end = text.data() + text.size();
    int64_t integer = 0;
    if (const auto [stop, error] = std::from_chars(text.data(), end, integer);
        error == std::errc() && stop == end)
      return integer;
    double number = 0;
    const bool looks_like_number = text.find_first_of("0123456789") != text.npos &&
                                   std::isalpha(static_cast<unsigned char>(text[0])) == 0;
    if (const auto [stop, error] = std::from_chars(text.data(), end, number);
        looks_like_number && error == std::errc() && stop == end) {
      return number;
    }
    return text;
  }

  std::string name_;
  yaml_parser_t parser_ = {};
  yaml_document_t document_ = {};
  bool is_loaded_ = false;
  std::vector<bool> seen_;
};

}  // namespace

json yaml_to_json(std::string_view text, const std::string& name) {
  return Document(text, name).read();
}

}  // namespace sora
