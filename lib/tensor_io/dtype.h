// The element types of safetensors files and their torch counterparts.
#pragma once

#include <c10/core/ScalarType.h>

#include <optional>
#include <string_view>

namespace sora {

// "F32" -> at::kFloat; empty for a name this program does not read (packed F4 and F6, F8_E8M0,
// C64).
std::optional<at::ScalarType> dtype_from_name(std::string_view name);

// at::kBFloat16 -> "BF16"; "?" for a type no safetensors file can hold.
std::string_view dtype_name(at::ScalarType dtype);

}  // namespace sora
