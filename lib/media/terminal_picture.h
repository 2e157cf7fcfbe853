// Pictures as text that a terminal draws, by chafa: kitty's graphics, sixels, or half blocks in the
// colours it has.
#pragma once

#include <cstdint>

#include "lib/core/pictures.h"

namespace sora {

// The frame as large as it fits into `max_columns` x `max_rows` cells, at least one, its aspect
// kept. Lines are parted by line feeds; none is at the end.
TerminalDrawing draw_for_terminal(const Pictures& pictures, int64_t frame, const TerminalForm& form,
                                  int max_columns, int max_rows);

}  // namespace sora
