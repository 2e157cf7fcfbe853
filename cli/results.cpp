#include "cli/results.h"

#include <cerrno>
#include <cstdio>

#include "lib/core/error.h"

namespace sora::cli {

void write_result(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0)
    return;
  if (errno == EPIPE) return;  // its reader, such as head, has seen enough
  throw Error(ErrorKind::Io, "the result could not be written to stdout; is it closed or full?");
}

void write_json(const nlohmann::json& object, int indent) {
  write_result(object.dump(indent, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

nlohmann::json to_json(const ClipResult& clip) {
  return {{"schema", 1},
          {"path", clip.paths.empty() ? "" : clip.paths.front()},
          {"paths", clip.paths},
          {"width", clip.size.width},
          {"height", clip.size.height},
          {"frames", clip.num_frames},
          {"fps", to_string(clip.fps)},
          {"seed", clip.seed},
          {"seconds", clip.seconds},
          {"manifest", clip.manifest}};
}

}  // namespace sora::cli
