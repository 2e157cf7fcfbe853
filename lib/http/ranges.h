// Ranges of a file as a request asks for them. The library sends whatever ranges it finds in the
// request once it was answered, also past the end of the file.
#pragma once

#include <httplib.h>

#include <string>

namespace sora {

// The library hands the request to actions as const, though it is its own variable and not.
httplib::Ranges& ranges_to_send(const httplib::Request& request);

// Cuts the ranges asked for to those that a file of `size` bytes has. Returns what is wrong where
// it has none of them, or they are too many, and sets the header that belongs to status 416; else
// "".
std::string clamp_ranges(const httplib::Request& request, size_t size, httplib::Response& response);

}  // namespace sora
