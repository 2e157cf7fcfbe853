// How long work tells the outside where it is, and how the outside asks it to stop. The library
// never prints.
#pragma once

#include <cstdint>
#include <string_view>

#include "lib/export.h"

namespace sora {

enum class Phase { Load, EncodeText, EncodeSource, Denoise, Decode, Write };

SORA_EXPORT std::string_view to_string(
    Phase phase);  // "load", "text", "source", "denoise", "decode", "write"

// Calls come from the thread that runs the request, except stop_requested(), which any thread may
// call.
class SORA_EXPORT Observer {
 public:
  virtual ~Observer();
  // Phases may overlap. Each begins once a clip; Load does again where the transformer's weights
  // are read, after the texts are encoded.
  virtual void begin(Phase phase, int64_t total_steps);
  virtual void advance(Phase phase, int64_t steps_done);
  virtual void notice(std::string_view sentence);  // something the user should read, not an error
  virtual bool stop_requested() const;
};

// Throws Error(Cancelled) when the observer asks to stop. Call it at least once a denoise step and
// decoded chunk.
SORA_EXPORT void check_stop(const Observer& observer);

}  // namespace sora
