// The clip's sound: that of the sources where their frames are, silence where frames are drawn.
#pragma once

#include <ATen/core/Tensor.h>

#include "lib/core/observer.h"
#include "lib/pipelines/layout.h"

namespace sora {

// f32 [samples, 1 or 2] of kSoundRate, as long as the clip; undefined where nothing is heard.
// Inside the clip, sound begins and ends within a few milliseconds around its border, so that no
// cut clicks; two pieces of one source that touch are as if never cut. A sound that cannot be
// decoded is left out with a notice. Throws Error(NotFound | Io) where a file is gone.
at::Tensor make_soundtrack(const Layout& layout, Observer& observer);

}  // namespace sora
