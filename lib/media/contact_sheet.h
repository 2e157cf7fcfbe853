// Contact sheets: a few pictures of each of some videos, to be looked at together.
#pragma once

#include "lib/core/observer.h"
#include "lib/core/pictures.h"

namespace sora {

// A still sheet has a row for each file, a moving one all files in one row, played as often as the
// longest lasts. Throws Error(NotFound | Input) for what cannot be shown, Error(Usage | NotFound)
// for an output that cannot be written, before anything is decoded, Error(Cancelled).
Pictures make_sheet(const SheetRequest& request, const Observer& observer);

// As PNG. Throws Error(Usage) for another extension or a file that is there, without `force`.
void write_sheet(const Pictures& sheet, const std::string& path, bool force);

}  // namespace sora
