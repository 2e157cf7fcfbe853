// Runs a program of the system to its end and takes what it prints.
#pragma once

#include <string>
#include <vector>

namespace sora {

struct CommandOutput {
  int status = 0;  // exit status; 128 + n: ended by signal n
  std::string out;
  std::string err;
};

// `arguments` begin with the program's name, which is looked for in $PATH; stdin is empty. Throws
// Error(NotFound) where there is no such program, Error(Memory | Io) where no process can be
// started.
CommandOutput run_command(const std::vector<std::string>& arguments);

}  // namespace sora
