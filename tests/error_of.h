// What a call throws, for tests of its kind and message:
//   const Error error = error_of([&] { SafetensorsFile::open(path); });
#pragma once

#include <gtest/gtest.h>

#include "lib/core/error.h"

namespace sora {

template <typename Call>
Error error_of(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  ADD_FAILURE() << "nothing was thrown";
  return Error(ErrorKind::Internal, "");
}

}  // namespace sora
