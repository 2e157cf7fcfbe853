// What stands behind the HTTP interface: orders of videos, kept by whoever implements this. Free of
// torch, so that the program can.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/export.h"

namespace sora {

// Who asks: a row of the token file, or nobody in particular where there is none.
struct ApiCaller {
  std::string name;
  std::string plan;  // name or file; empty: the one in force
};

struct VideoOrder {
  std::string prompt;
  std::string model;    // empty: the first that is offered
  std::string seconds;  // empty: 4
  std::string size;     // "1280x720"; empty: what the model is best at
  std::string image;    // path of an uploaded first frame; empty: none
};

struct VideoRecord {
  std::string id;
  std::string status;  // queued | in_progress | completed | failed
  std::string model;
  std::string prompt;
  std::string seconds;
  std::string size;
  std::string remixed_from;  // id; empty: none
  std::string error_code;    // of failed
  std::string error_message;
  double progress = 0;       // 0 to 1
  int64_t created_at = 0;    // seconds since 1970
  int64_t completed_at = 0;  // 0: not yet
};

struct VideoPage {
  std::vector<VideoRecord> videos;
  bool has_more = false;
};

// An answer other than the one hoped for, in the terms of the interface.
class SORA_EXPORT ApiError {
 public:
  ApiError(int status, std::string type, std::string code, std::string message,
           std::string param = "")
      : status(status),
        type(std::move(type)),
        code(std::move(code)),
        message(std::move(message)),
        param(std::move(param)) {}

  int status;        // of HTTP
  std::string type;  // "invalid_request_error", ...
  std::string code;  // for programs
  std::string message;
  std::string param;  // the field that is wrong; empty: none
};

// Called from several threads at once. Every call but the first throws ApiError; an id of another
// caller is one that does not exist.
class VideoService {
 public:
  virtual ~VideoService() = default;
  // Before anybody asks. Throws Error where this caller could not be served: the plan is no plan.
  virtual void check_caller(const ApiCaller& caller) = 0;
  virtual VideoRecord create(const ApiCaller& caller, const VideoOrder& order) = 0;
  virtual VideoRecord remix(const ApiCaller& caller, const std::string& id,
                            const std::string& prompt) = 0;
  virtual VideoRecord find(const ApiCaller& caller, const std::string& id) = 0;
  // At most `limit` in the order of their making, or backwards, those past `after` where one is
  // given.
  virtual VideoPage list(const ApiCaller& caller, const std::string& after, int64_t limit,
                         bool ascending) = 0;
  virtual void remove(const ApiCaller& caller, const std::string& id) = 0;
  // The file of a completed video.
  virtual std::string file(const ApiCaller& caller, const std::string& id) = 0;
  // Where an upload may be kept; `extension` with its dot. The caller of this writes it.
  virtual std::string upload_path(const std::string& extension) = 0;
  virtual std::vector<std::string> models() = 0;
};

struct ServeOptions {
  std::string address = "127.0.0.1";
  int port = 8000;                      // 0: any that is free
  std::vector<std::string> host_names;  // besides those of the loopback address
  std::string token_file;               // empty: whoever reaches the port may ask
  int64_t max_body_bytes = 32 << 20;
  // Called on a thread of its own when a stop was asked for and a connection goes on for seconds;
  // it is to end the process.
  std::function<void()> stop_now = [] {};
};

}  // namespace sora
