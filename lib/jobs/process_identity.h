// Which process this is, in a form that another process, perhaps on another machine and later, can
// ask about.
#pragma once

#include <cstdint>
#include <string>

namespace sora {

struct ProcessIdentity {
  std::string host;  // name, boot, process number space and the machine's number where it has one
  int64_t pid = 0;
  int64_t start_time = 0;  // clock ticks after boot, which tells two processes of one number apart

  static ProcessIdentity own();
};

enum class Liveness { Alive, Dead, Unknown };  // Unknown: on another machine

Liveness liveness(const ProcessIdentity& process);

}  // namespace sora
