// Videos, lists and errors as OpenAI's video API writes them, and its requests as they are read.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "lib/serve/video_service.h"

namespace sora {

nlohmann::json to_json(const VideoRecord& video);
nlohmann::json to_json(const VideoPage& page);
nlohmann::json to_json(const ApiError& error);

// A field of a form, or a member of a JSON object.
struct ApiField {
  std::string text;
  bool is_file = false;
};
using ApiFields = std::map<std::string, ApiField>;

// Throws ApiError(400) for what is no object of texts, numbers and, for input_reference, an object
// with image_url.
ApiFields fields_of_json(const std::string& body);

// Throws ApiError(400) naming an unknown or missing field. An upload is written to
// service.upload_path().
VideoOrder order_of(const ApiFields& fields, VideoService& service);
std::string remix_prompt_of(const ApiFields& fields);

// The extension of a picture by its first bytes, ".png", ".jpg" or ".webp"; empty: none of them.
std::string picture_extension(const std::string& bytes);

}  // namespace sora
