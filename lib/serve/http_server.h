// The HTTP interface to videos, with the shapes of OpenAI's video API: an existing client works
// when its base URL is that of this server.
//
//   POST   /v1/videos               create: multipart or JSON of prompt, model, seconds, size,
//                                   input_reference
//   GET    /v1/videos               list: after, limit, order
//   GET    /v1/videos/ID            retrieve
//   GET    /v1/videos/ID/content    the file; variant=video|thumbnail|spritesheet
//   POST   /v1/videos/ID/remix      JSON of prompt
//   DELETE /v1/videos/ID
//   GET    /v1/models
#pragma once

#include <functional>
#include <string>

#include "lib/core/observer.h"
#include "lib/serve/video_service.h"

namespace sora {

// Until the observer asks to stop. `on_ready` is told the base URL. Throws Error(Usage) for an
// address other than the loopback's without a token file, Error(Io) where the port is taken, and as
// TokenFile and VideoService::check_caller.
void serve_videos(const ServeOptions& options, VideoService& service,
                  const std::function<void(const std::string& base_url)>& on_ready,
                  Observer& observer);

}  // namespace sora
