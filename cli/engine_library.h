// Brings libsora.so in when there is work for it: libtorch costs a third of a second, which --help
// must not pay.
#pragma once

#include <memory>

#include "lib/sora.h"

namespace sora::cli {

// Throws Error(Internal) when the library is not where the installation puts it.
std::unique_ptr<Engine> load_engine();

}  // namespace sora::cli
