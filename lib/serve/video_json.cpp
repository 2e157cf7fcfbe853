#include "lib/serve/video_json.h"

#include <fmt/format.h>

#include <cmath>
#include <set>

#include "lib/tensor_io/atomic_file.h"
#include "lib/text/base64.h"

namespace sora {
namespace {

using nlohmann::json;

constexpr const char* kInvalid = "invalid_request_error";

[[noreturn]] void refuse(const std::string& code, const std::string& message,
                         const std::string& param = "") {
  throw ApiError(400, kInvalid, code, message, param);
}

json or_null(const std::string& text) { return text.empty() ? json(nullptr) : json(text); }

void check_known(const ApiFields& fields, const std::set<std::string>& known) {
  for (const auto& [name, field] : fields) {
    if (known.count(name) == 0)
      refuse("unknown_parameter", fmt::format("Unknown parameter: '{}'.", name), name);
  }
}

std::string text_of(const ApiFields& fields, const std::string& name) {
  const auto found = fields.find(name);
  if (found == fields.end()) return "";
  if (found->second.is_file)
    refuse("invalid_type", fmt::format("'{}' is a text, not a file.", name), name);
  return found->second.text;
}

std::string required_prompt(const ApiFields& fields) {
  std::string prompt = text_of(fields, "prompt");
  if (prompt.empty())
    refuse("missing_required_parameter", "Missing required parameter: 'prompt'.", "prompt");
  return prompt;
}

std::string text_of_json(const std::string& name, const json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_integer()) return std::to_string(value.get<int64_t>());
  if (value.is_number()) return fmt::format("{}", value.get<double>());
  refuse("invalid_type", fmt::format("'{}' is a text.", name), name);
}

// The bytes of "data:image/png;base64,...". Other addresses are not fetched.
std::string bytes_of_data_url(const std::string& url) {
  const size_t comma = url.find(',');
  const bool is_data = url.rfind("data:image/", 0) == 0 && comma != std::string::npos &&
                       url.substr(0, comma).ends_with(";base64");
  if (!is_data)
    refuse("invalid_image_url",
           "'input_reference.image_url' is a data URL of a picture in base64; other addresses are "
           "not fetched.",
           "input_reference");
  const auto bytes = decode_base64(std::string_view(url).substr(comma + 1));
  if (!bytes)
    refuse("invalid_image_url", "'input_reference.image_url' is not base64.", "input_reference");
  return *bytes;
}

}  // namespace

json to_json(const VideoRecord& video) {
  json error = nullptr;
  if (video.status == "failed")
    error = {{"code", video.error_code}, {"message", video.error_message}};
  return {{"id", video.id},
          {"object", "video"},
          {"created_at", video.created_at},
          {"completed_at", video.completed_at > 0 ? json(video.completed_at) : json(nullptr)},
          {"expires_at", nullptr},
          {"status", video.status},
          {"progress", static_cast<int>(std::floor(video.progress * 100))},
          {"model", video.model},
          {"prompt", or_null(video.prompt)},
          {"seconds", video.seconds},
          {"size", video.size},
          {"remixed_from_video_id", or_null(video.remixed_from)},
          {"error", error}};
}

json to_json(const VideoPage& page) {
  json data = json::array();
  for (const VideoRecord& video : page.videos) data.push_back(to_json(video));
  return {{"object", "list"},
          {"data", data},
          {"first_id", data.empty() ? json(nullptr) : data.front()["id"]},
          {"last_id", data.empty() ? json(nullptr) : data.back()["id"]},
          {"has_more", page.has_more}};
}

json to_json(const ApiError& error) {
  return {{"error",
           {{"message", error.message},
            {"type", error.type},
            {"param", or_null(error.param)},
            {"code", or_null(error.code)}}}};
}

ApiFields fields_of_json(const std::string& body) {
  const json object = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) refuse("invalid_json", "The body is no JSON object.");
  ApiFields fields;
  for (const auto& [name, value] : object.items()) {
    if (value.is_null()) continue;
    if (name == "input_reference" && value.is_object()) {
      if (value.size() != 1 || !value.contains("image_url") || !value["image_url"].is_string())
        refuse("invalid_type", "'input_reference' in JSON is an object with 'image_url' alone.",
               name);
      fields[name] = {bytes_of_data_url(value["image_url"].get<std::string>()), true};
    } else {
      fields[name] = {text_of_json(name, value), false};
    }
  }
  return fields;
}

VideoOrder order_of(const ApiFields& fields, VideoService& service) {
  check_known(fields, {"prompt", "model", "seconds", "size", "input_reference"});
  VideoOrder order;
  order.prompt = required_prompt(fields);
  order.model = text_of(fields, "model");
  order.seconds = text_of(fields, "seconds");
  order.size = text_of(fields, "size");
  const auto reference = fields.find("input_reference");
  if (reference == fields.end()) return order;
  const std::string& bytes = reference->second.text;
  const std::string extension = reference->second.is_file ? picture_extension(bytes) : "";
  if (extension.empty())
    refuse("invalid_image", "'input_reference' is a picture: PNG, JPEG or WebP.",
           "input_reference");
  order.image = service.upload_path(extension);
  AtomicFile file(order.image);
  file.write(bytes.data(), bytes.size());
  file.commit();
  return order;
}

std::string remix_prompt_of(const ApiFields& fields) {
  check_known(fields, {"prompt"});
  return required_prompt(fields);
}

std::string picture_extension(const std::string& bytes) {
  if (bytes.rfind("\x89PNG\r\n\x1a\n", 0) == 0) return ".png";
  if (bytes.rfind("\xff\xd8\xff", 0) == 0) return ".jpg";
  if (bytes.rfind("RIFF", 0) == 0 && bytes.size() > 12 && bytes.compare(8, 4, "WEBP") == 0)
    return ".webp";
  return "";
}

}  // namespace sora
