// The base class ignores everything, so an observer overrides only what it shows.
#include "lib/core/observer.h"

#include "lib/core/error.h"

namespace sora {

std::string_view to_string(Phase phase) {
  switch (phase) {
    case Phase::Load:
      return "load";
    case Phase::EncodeText:
      return "text";
    case Phase::EncodeSource:
      return "source";
    case Phase::Denoise:
      return "denoise";
    case Phase::Decode:
      return "decode";
    case Phase::Write:
      return "write";
  }
  return "unknown";
}

Observer::~Observer() = default;
void Observer::begin(Phase, int64_t) {}
void Observer::advance(Phase, int64_t) {}
void Observer::notice(std::string_view) {}
bool Observer::stop_requested() const { return false; }

void check_stop(const Observer& observer) {
  if (observer.stop_requested())
    throw Error(ErrorKind::Cancelled, "stopped before the end; nothing was written");
}

}  // namespace sora
