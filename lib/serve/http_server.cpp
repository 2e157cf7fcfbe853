// cpp-httplib. A browser's page must not reach a server that is meant for this machine: foreign
// Host and Origin headers are refused before anything is looked at, and who has no token before a
// body is read.
#include "lib/serve/http_server.h"

#include <fmt/format.h>
#include <httplib.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <optional>
#include <string_view>

#include "lib/core/ascii.h"
#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/http/listening.h"
#include "lib/http/ranges.h"
#include "lib/serve/tokens.h"
#include "lib/serve/video_json.h"
#include "lib/serve/video_pictures.h"

namespace sora {
namespace {

using httplib::Request;
using httplib::Response;

// One for each connection at a time: many of them wait for a client that is slow, or means to be.
constexpr size_t kThreads = 64;
constexpr int kReadTimeout_s = 5;
constexpr const char* kPollAfter_ms = "1000";
constexpr int64_t kMaxListed = 100;
constexpr int64_t kListed = 20;
constexpr const char* kId = R"(/v1/videos/(video_[0-9a-f]{32}))";

std::string name_of_origin(const std::string& origin) {
  const size_t slashes = origin.find("://");
  return slashes == std::string::npos ? origin : name_of_host(origin.substr(slashes + 3));
}

void answer(Response& response, const nlohmann::json& object, int status = 200) {
  response.status = status;
  response.set_content(to_text(object), "application/json");
}

void answer(Response& response, const ApiError& error) {
  // Asking again at once brings the same answer.
  response.set_header("x-should-retry", "false");
  if (error.status == 401) response.set_header("WWW-Authenticate", "Bearer");
  answer(response, to_json(error), error.status);
}

ApiFields fields_of(const Request& request) {
  if (!request.is_multipart_form_data()) return fields_of_json(request.body);
  ApiFields fields;
  for (const auto& [name, part] : request.files)
    fields[name] = {part.content, !part.filename.empty()};
  return fields;
}

int64_t limit_of(const Request& request) {
  if (!request.has_param("limit")) return kListed;
  const std::string text = request.get_param_value("limit");
  int64_t limit = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), limit);
  if (error != std::errc() || end != text.data() + text.size() || limit < 1 || limit > kMaxListed)
    throw ApiError(400, "invalid_request_error", "invalid_value",
                   fmt::format("'limit' goes from 1 to {}.", kMaxListed), "limit");
  return limit;
}

bool is_ascending(const Request& request) {
  const std::string order = request.has_param("order") ? request.get_param_value("order") : "desc";
  if (order != "asc" && order != "desc")
    throw ApiError(400, "invalid_request_error", "invalid_value", "'order' is asc or desc.",
                   "order");
  return order == "asc";
}

// Whether the library would read a body until its sender ends it, however long it gets.
bool has_endless_body(const Request& request) {
  constexpr std::string_view kWithBody[] = {"POST", "PUT", "PATCH", "PRI"};
  const bool has_body =
      std::find(std::begin(kWithBody), std::end(kWithBody), request.method) != std::end(kWithBody);
  return request.has_header("Transfer-Encoding") ||
         (has_body && !request.has_header("Content-Length"));
}

// The file in pieces, so that ranges of it can be asked for.
void send_file(const Request& request, const std::string& path, Response& response) {
  const auto file = std::make_shared<std::ifstream>(path, std::ios::binary);
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  if (!*file || error)
    throw ApiError(404, "invalid_request_error", "not_found", "The file of this video is gone.");
  if (const std::string wrong = clamp_ranges(request, size, response); !wrong.empty())
    throw ApiError(416, "invalid_request_error", "range_not_satisfiable", wrong);
  response.set_content_provider(
      size, "video/mp4", [file](size_t offset, size_t length, httplib::DataSink& sink) {
        constexpr size_t kPiece = 1 << 16;
        std::string piece(std::min(length, kPiece), '\0');
        file->clear();
        file->seekg(static_cast<std::streamoff>(offset));
        file->read(piece.data(), static_cast<std::streamsize>(piece.size()));
        return file->gcount() > 0 && sink.write(piece.data(), static_cast<size_t>(file->gcount()));
      });
}

void send_content(const Request& request, const std::string& path, Response& response) {
  const std::string variant =
      request.has_param("variant") ? request.get_param_value("variant") : "video";
  if (variant == "video") return send_file(request, path, response);
  if (variant == "thumbnail") return response.set_content(thumbnail_of(path), "image/webp");
  if (variant == "spritesheet") return response.set_content(spritesheet_of(path), "image/webp");
  throw ApiError(400, "invalid_request_error", "invalid_value",
                 "'variant' is video, thumbnail or spritesheet.", "variant");
}

// A plan that cannot be used is told when the server starts, not to the caller who has it.
std::unique_ptr<TokenFile> open_tokens(const std::string& path, VideoService& service) {
  auto tokens = std::make_unique<TokenFile>(path);
  for (const ApiCaller& caller : tokens->callers()) {
    try {
      service.check_caller(caller);
    } catch (const Error& error) {
      fail(error.kind(), "{}: the plan of '{}': {}", path, caller.name, error.what());
    }
  }
  return tokens;
}

class VideoServer {
 public:
  VideoServer(const ServeOptions& options, VideoService& service)
      : options_(options), service_(service) {
    if (!options.token_file.empty()) tokens_ = open_tokens(options.token_file, service);
    server_.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    server_.set_payload_max_length(static_cast<size_t>(options.max_body_bytes));
    server_.set_read_timeout(kReadTimeout_s, 0);
    server_.set_default_headers(
        {{"X-Content-Type-Options", "nosniff"}, {"Cache-Control", "no-store"}});
    server_.set_pre_routing_handler(
        [this](const Request& request, Response& response) { return admit(request, response); });
    server_.set_error_handler([](const Request&, Response& response) {
      if (!response.body.empty()) return;
      const int status = response.status;
      answer(response, status == 413   ? ApiError(413, "invalid_request_error", "request_too_large",
                                                  "The body is too large.")
                       : status == 404 ? ApiError(404, "invalid_request_error", "not_found",
                                                  "There is nothing at this address.")
                                       : ApiError(status, "invalid_request_error", "bad_request",
                                                  "The request is not understood."));
    });
    add_routes();
  }

  // The base URL.
  std::string bind() {
    return fmt::format("http://{}:{}/v1", in_url(options_.address),
                       take_port(server_, options_.address, options_.port));
  }

  void listen(const Observer& observer) {
    answer_until_stopped(
        server_, observer, [] {}, options_.stop_now);
  }

 private:
  using Action = void (VideoServer::*)(const Request&, const ApiCaller&, Response&);

  httplib::Server::HandlerResponse admit(const Request& request, Response& response) {
    try {
      check(request);
      return httplib::Server::HandlerResponse::Unhandled;
    } catch (const ApiError& error) {
      ranges_to_send(request).clear();
      answer(response, error);
      return httplib::Server::HandlerResponse::Handled;
    }
  }

  // What is known of a request before its body. Throws ApiError.
  void check(const Request& request) const {
    if (has_endless_body(request))
      throw ApiError(411, "invalid_request_error", "length_required",
                     "A body needs a Content-Length and no Transfer-Encoding.");
    const auto is_ours = [&](const std::string& name) {
      return is_loopback(name) || name == ascii_lower(options_.address) ||
             std::any_of(options_.host_names.begin(), options_.host_names.end(),
                         [&](const std::string& ours) { return name == ascii_lower(ours); });
    };
    const bool has_origin = request.has_header("Origin");
    if (!is_ours(name_of_host(request.get_header_value("Host"))) ||
        (has_origin && !is_ours(name_of_origin(request.get_header_value("Origin")))))
      throw ApiError(403, "invalid_request_error", "forbidden_host",
                     "This server does not answer to that host or origin.");
    caller_of(request);
  }

  ApiCaller caller_of(const Request& request) const {
    if (!tokens_) return {};
    constexpr std::string_view kBearer = "Bearer ";
    const std::string header = request.get_header_value("Authorization");
    if (header.rfind(kBearer, 0) != 0)
      throw ApiError(401, "invalid_request_error", "invalid_api_key",
                     "A token is needed: Authorization: Bearer TOKEN.");
    const std::optional<ApiCaller> caller = tokens_->caller_of(header.substr(kBearer.size()));
    if (!caller)
      throw ApiError(401, "invalid_request_error", "invalid_api_key",
                     "Incorrect API key provided.");
    return *caller;
  }

  // What every action has in common: who asks, and errors as the interface writes them.
  httplib::Server::Handler guarded(Action action) {
    return [this, action](const Request& request, Response& response) {
      try {
        (this->*action)(request, caller_of(request), response);
      } catch (const ApiError& error) {
        answer(response, error);
      } catch (const std::exception& error) {
        answer(response, ApiError(500, "server_error", "internal_error", error.what()));
      }
      // What is no file is sent whole: a part of it would say nothing.
      if (!response.body.empty()) ranges_to_send(request).clear();
    };
  }

  void add_routes() {
    const std::string id = kId;
    server_.Post("/v1/videos", guarded(&VideoServer::create));
    server_.Get("/v1/videos", guarded(&VideoServer::list));
    server_.Get(id, guarded(&VideoServer::retrieve));
    server_.Get(id + "/content", guarded(&VideoServer::content));
    server_.Post(id + "/remix", guarded(&VideoServer::remix));
    server_.Delete(id, guarded(&VideoServer::remove));
    server_.Get("/v1/models", guarded(&VideoServer::models));
    // Any other id is one that does not exist; the token comes first all the same.
    server_.Get(R"(/v1/videos/[^/]+(/content)?)", guarded(&VideoServer::no_video));
    server_.Post(R"(/v1/videos/[^/]+/remix)", guarded(&VideoServer::no_video));
    server_.Delete(R"(/v1/videos/[^/]+)", guarded(&VideoServer::no_video));
  }

  void create(const Request& request, const ApiCaller& caller, Response& response) {
    answer(response, to_json(service_.create(caller, order_of(fields_of(request), service_))));
  }
  void list(const Request& request, const ApiCaller& caller, Response& response) {
    const std::string after = request.has_param("after") ? request.get_param_value("after") : "";
    answer(response,
           to_json(service_.list(caller, after, limit_of(request), is_ascending(request))));
  }
  void retrieve(const Request& request, const ApiCaller& caller, Response& response) {
    const VideoRecord video = service_.find(caller, request.matches[1]);
    if (video.status == "queued" || video.status == "in_progress")
      response.set_header("openai-poll-after-ms", kPollAfter_ms);
    answer(response, to_json(video));
  }
  void content(const Request& request, const ApiCaller& caller, Response& response) {
    send_content(request, service_.file(caller, request.matches[1]), response);
  }
  void remix(const Request& request, const ApiCaller& caller, Response& response) {
    answer(response, to_json(service_.remix(caller, request.matches[1],
                                            remix_prompt_of(fields_of(request)))));
  }
  void remove(const Request& request, const ApiCaller& caller, Response& response) {
    const std::string id = request.matches[1];
    service_.remove(caller, id);
    answer(response, {{"id", id}, {"object", "video.deleted"}, {"deleted", true}});
  }
  void models(const Request&, const ApiCaller&, Response& response) {
    nlohmann::json data = nlohmann::json::array();
    for (const std::string& model : service_.models())
      data.push_back({{"id", model}, {"object", "model"}, {"created", 0}, {"owned_by", "sora"}});
    answer(response, {{"object", "list"}, {"data", data}});
  }
  void no_video(const Request&, const ApiCaller&, Response&) {
    throw ApiError(404, "invalid_request_error", "not_found", "There is no video with this id.",
                   "video_id");
  }

  const ServeOptions& options_;
  VideoService& service_;
  std::unique_ptr<TokenFile> tokens_;
  httplib::Server server_;
};

}  // namespace

void serve_videos(const ServeOptions& options, VideoService& service,
                  const std::function<void(const std::string& base_url)>& on_ready,
                  Observer& observer) {
  if (options.token_file.empty() && !is_loopback(options.address)) {
    fail(ErrorKind::Usage,
         "the address {} is reached from other machines; give --token-file, so that not everyone "
         "may ask",
         options.address);
  }
  VideoServer server(options, service);
  on_ready(server.bind());
  server.listen(observer);
}

}  // namespace sora
