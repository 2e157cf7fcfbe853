// Exit codes: docs/cli.md lists them for users.
#include "lib/core/error.h"

namespace sora {
namespace {

struct KindRow {
  ErrorKind kind;
  int exit_code;
  std::string_view name;
};

constexpr KindRow kKinds[] = {
    {ErrorKind::Internal, 1, "internal"},     {ErrorKind::Usage, 2, "usage"},
    {ErrorKind::Input, 3, "input"},           {ErrorKind::NotFound, 4, "not_found"},
    {ErrorKind::Memory, 5, "memory"},         {ErrorKind::Io, 6, "io"},
    {ErrorKind::BatchFailed, 7, "batch"},     {ErrorKind::Refused, 8, "refused"},
    {ErrorKind::Numerical, 9, "numerical"},   {ErrorKind::Stopped, 75, "stopped"},
    {ErrorKind::Cancelled, 130, "cancelled"},
};

const KindRow& row_of(ErrorKind kind) {
  for (const KindRow& row : kKinds) {
    if (row.kind == kind) return row;
  }
  return kKinds[0];
}

}  // namespace

int exit_code(ErrorKind kind) { return row_of(kind).exit_code; }
std::string_view to_string(ErrorKind kind) { return row_of(kind).name; }

}  // namespace sora
