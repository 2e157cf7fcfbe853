// Each operation lists its fields once, for writing and for reading.
#include "lib/pipelines/request_operations_json.h"

#include "lib/pipelines/object_reader.h"

namespace sora {
namespace {

using nlohmann::json;

class Writer {
 public:
  void field(const char* key, const std::string& value) { put(object, key, value); }
  void field(const char* key, bool value) { put_flag(object, key, value); }
  void field(const char* key, double value) { object[key] = value; }
  void field(const char* key, const std::optional<double>& value) { put(object, key, value); }
  void field(const char* key, const std::vector<double>& values) {
    if (!values.empty()) object[key] = values;
  }
  void field(const char* key, const std::vector<std::string>& values) {
    if (!values.empty()) object[key] = values;
  }
  void field(const char* key, const std::vector<TimeRange>& ranges) {
    for (const TimeRange& range : ranges) object[key].push_back(to_string(range));
  }
  void field(const char* key, const Curve& curve) {
    if (!curve.points.empty()) object[key] = to_string(curve);
  }

  json object = json::object();
};

class Reader {
 public:
  Reader(const json& object, std::string_view where) : reader_(object, std::string(where)) {}
  template <typename T>
  void field(const char* key, T& value) {
    reader_.read(key, value);
  }
  void check_all_known() const { reader_.check_all_known(); }

 private:
  ObjectReader reader_;
};

template <typename Visitor, typename Request>
void visit_tool(Visitor& visit, Request& request) {
  visit.field("source", request.source);
  visit.field("prompt", request.prompt);
  visit.field("fit", request.fit);
}

// `Request` is const for writing.
template <typename Visitor, typename Request>
void visit_fields(Visitor& visit, Request& request) {
  using Plain = std::remove_const_t<Request>;
  if constexpr (std::is_same_v<Plain, GenerateRequest>) {
    visit.field("prompt", request.prompt);
    visit.field("image", request.image);
    visit.field("last_image", request.last_image);
    visit.field("loop", request.loop);
    visit.field("storyboard", request.storyboard);
    visit.field("references", request.references);
    visit.field("control", request.control);
    visit.field("control_scale", request.control_scale);
    visit.field("preset", request.preset);
  } else {
    visit_tool(visit, request);
  }
  if constexpr (std::is_same_v<Plain, ExtendRequest>) {
    visit.field("by_s", request.by_s);
    visit.field("backward", request.backward);
  }
  if constexpr (std::is_same_v<Plain, RecutRequest>) {
    visit.field("keep", request.keep);
    visit.field("at_s", request.at_s);
    visit.field("drop", request.drop);
    visit.field("duration_s", request.duration_s);
  }
  if constexpr (std::is_same_v<Plain, LoopRequest>) {
    visit.field("from_s", request.from_s);
    visit.field("to_s", request.to_s);
    visit.field("length", request.length);
  }
  if constexpr (std::is_same_v<Plain, RemixRequest>) {
    visit.field("source_prompt", request.source_prompt);
    visit.field("strength", request.strength);
    visit.field("method", request.method);
    visit.field("preset", request.preset);
  }
  if constexpr (std::is_same_v<Plain, BlendRequest>) {
    visit.field("second", request.second);
    visit.field("mode", request.mode);
    visit.field("curve", request.curve);
    visit.field("strength", request.strength);
    visit.field("duration_s", request.duration_s);
  }
}

template <size_t kIndex = 0>
Operation read_operation(const std::string& name, const json& arguments) {
  if constexpr (kIndex == std::variant_size_v<Operation>) {
    std::string known;
    [&]<size_t... kAll>(std::index_sequence<kAll...>) {
      ((known +=
        (kAll ? ", " : "") + std::string(std::variant_alternative_t<kAll, Operation>::kName)),
       ...);
    }
    (std::make_index_sequence<kIndex>());
    fail(ErrorKind::Usage, "the operation '{}' is unknown; this version knows: {}", name, known);
  } else {
    using Request = std::variant_alternative_t<kIndex, Operation>;
    if (name != Request::kName) return read_operation<kIndex + 1>(name, arguments);
    Request request;
    Reader reader(arguments, Request::kName);
    visit_fields(reader, request);
    reader.check_all_known();
    return request;
  }
}

}  // namespace

json arguments_to_json(const Operation& operation) {
  Writer writer;
  std::visit([&](const auto& request) { visit_fields(writer, request); }, operation);
  return writer.object;
}

Operation operation_from_json(const std::string& name, const json& arguments) {
  return read_operation(name, arguments);
}

}  // namespace sora
