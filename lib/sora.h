// The library's door: what the command line uses, and all that a program linking libsora needs.
// Free of torch and FFmpeg headers; loading libsora.so brings both.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/core/error.h"
#include "lib/core/model_task.h"
#include "lib/core/observer.h"
#include "lib/core/pictures.h"
#include "lib/core/share_task.h"
#include "lib/export.h"
#include "lib/gallery/gallery.h"
#include "lib/pipelines/request.h"
#include "lib/pipelines/request_shape.h"
#include "lib/serve/video_service.h"

namespace sora {

// One finished clip.
struct ClipResult {
  std::vector<std::string> paths;  // the clip (for a PNG sequence its first frame), then side files
  Size size;
  int64_t num_frames = 0;
  Rational fps;
  uint64_t seed = 0;
  double seconds = 0;  // wall time of this clip, model loading included in the first
  nlohmann::json manifest;
};

// What a request would do, before anything is made.
struct PlanReport {
  std::vector<std::string> lines;  // for a person
  nlohmann::json json;             // the same for a program
  ClipShape shape;                 // what would come out
};

class SORA_EXPORT Engine {
 public:
  virtual ~Engine();
  // Makes the clips of a request, one for each variation. Throws Error; nothing is left half
  // written.
  virtual std::vector<ClipResult> run(const Request& request, Observer& observer) = 0;
  // Asks `admission` from now on before each run and decode, and tells it of each clip; null:
  // nobody. It has to outlive its use.
  virtual void set_admission(Admission* admission) = 0;
  // Hands each clip of later run() and decode() calls over as soon as it is whole, whatever becomes
  // of the others.
  virtual void when_made(std::function<void(const ClipResult& clip)> take_clip) = 0;
  // The clip of latents that --save-latents or a failed decoding left. Only threads and memory of
  // `runtime` count. Throws Error, as run() does: NotFound and Input for a file that holds none.
  virtual std::vector<ClipResult> decode(const std::string& latents_path, const OutputSpec& output,
                                         const Runtime& runtime, Observer& observer) = 0;
  // Checks everything that can be checked without computing. Throws what run() would for that.
  virtual PlanReport plan(const Request& request) = 0;
  // Whether run() could write the clips of such a plan; nothing is made. Throws Error(Usage |
  // NotFound | Io).
  virtual void check_output(const OutputSpec& output, const ClipShape& shape) = 0;
  // Streams, colour tags and manifest of a media file, as JSON. Throws Error(NotFound | Input).
  virtual nlohmann::json info(const std::string& path) = 0;
  // The manifest inside a clip or its side file, or a recipe file. Throws Error(Input) where there
  // is none, and for a source that came through a pipe or is another file than it was.
  virtual Request recipe(const std::string& path) = 0;
  // Makes or refreshes a gallery; see lib/gallery/gallery.h, also for what it throws.
  virtual GalleryReport explore(const GalleryRequest& request, Observer& observer) = 0;
  // Serves a gallery on the loopback address until the observer asks to stop. `port` 0: a free one;
  // on_ready gets the address. Throws Error(Io) where the port cannot be had.
  virtual void serve(const GalleryRequest& request, int port,
                     const std::function<void(const std::string&)>& on_ready,
                     Observer& observer) = 0;
  // How the clips of later run() calls are looked at while they are made. Throws Error(Usage |
  // NotFound) for a file that cannot be written.
  virtual void set_preview(const PreviewSpec& preview) = 0;
  // A contact sheet; gallery:ID stands for a file here too. See lib/media/contact_sheet.h. Throws
  // Error(NotFound | Input | Usage).
  virtual Pictures sheet(const SheetRequest& request, Observer& observer) = 0;
  // As a PNG file. Throws Error(Usage) for another extension and for an existing file without
  // `force`, Error(Io).
  virtual void write_sheet(const Pictures& sheet, const std::string& path, bool force) = 0;
  // One of the pictures in letters or a terminal's own graphics, at most so many columns and rows
  // of text; see lib/media/terminal_picture.h.
  virtual TerminalDrawing draw(const Pictures& pictures, int64_t frame, const TerminalForm& form,
                               int max_columns, int max_rows) = 0;
  // Packs clips and presets into archives and takes such archives in; the result as JSON. Throws
  // Error.
  virtual nlohmann::json share(const ShareTask& task, Observer& observer) = 0;
  // Answers HTTP requests for videos until the observer asks to stop; see lib/serve/http_server.h.
  // Throws Error(Usage | NotFound | Input) for its token file, Error(Io) for its port.
  virtual void serve_videos(const ServeOptions& options, VideoService& service,
                            const std::function<void(const std::string& base_url)>& on_ready,
                            Observer& observer) = 0;
  // A new token for serve_videos, added to the file `path`; see lib/serve/tokens.h. Throws
  // Error(Usage | Io).
  virtual std::string add_token(const std::string& path, const std::string& name,
                                const std::string& plan) = 0;
  // `sora models`; the result as JSON. Throws Error.
  virtual nlohmann::json models(const ModelTask& task, Observer& observer) = 0;
  // From now on the parts of a model that fit into memory stay loaded between requests.
  virtual void keep_models_loaded() = 0;
  // Does together what these requests of one model share: their texts are encoded in one pass. Only
  // after keep_models_loaded(); run() makes the same bytes without it. Throws Error.
  virtual void prepare(const std::vector<Request>& requests, Observer& observer) = 0;
  // From now on the latents of a single clip drawn in one window are written to `path` when they
  // are sampled, before they are decoded, in the form that decode() takes; empty: nowhere. Whoever
  // asks for them removes them.
  virtual void keep_latents_at(const std::string& path) = 0;
  // What a file's manifest, C2PA signature and watermark say of where it came from; see
  // lib/provenance/verify.h. Throws Error(NotFound | Input) for what is no media file.
  virtual nlohmann::json verify(const std::string& path, Observer& observer) = 0;
  // Makes an identity to sign with; the path of its key. Throws Error(Usage | Io).
  virtual std::string new_identity(const std::string& name, const std::string& owner) = 0;
  // SHA-256 of a file, 64 lowercase hexadecimal digits. Throws Error(NotFound | Io).
  virtual std::string sha256(const std::string& path) = 0;
  // The style presets, built in and the user's own: name, description, prompt, negative_prompt,
  // path.
  virtual nlohmann::json presets() = 0;
  // Versions of the libraries in use, devices, encoders: for bug reports.
  virtual nlohmann::json versions() = 0;
};

SORA_EXPORT std::unique_ptr<Engine> make_engine();

}  // namespace sora

// For dlopen: the caller owns the engine.
extern "C" SORA_EXPORT sora::Engine* sora_new_engine();
