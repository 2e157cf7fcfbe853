// What the HTTP servers have in common (lib/gallery/server.h, lib/serve/http_server.h): the names
// of this machine, the port they listen at, and their end.
#pragma once

#include <httplib.h>

#include <chrono>
#include <functional>
#include <string>

#include "lib/core/observer.h"

namespace sora {

// The host of a Host header in lower case, of an IPv6 address without its brackets:
// "Localhost:8000" -> "localhost", "[::1]:8000" -> "::1".
std::string name_of_host(const std::string& header);

// An address as a URL has it: an IPv6 address in brackets.
std::string in_url(const std::string& address);

// Whether nobody but this machine is reached under the name: 127.0.0.1, localhost or ::1.
bool is_loopback(const std::string& name);

// Has the server listen at `port` of `address`, or at any free one for 0; returns the port. A
// connection brings one request. Throws Error(Io) where the port is taken, by another server of
// this program too.
int take_port(httplib::Server& server, const std::string& address, int port);

// From a stop to stop_now: what a client is being sent has this long to arrive.
inline constexpr std::chrono::seconds kStopListeningPatience(5);

// Answers at the port taken until the observer asks to stop. `meanwhile` is called ten times a
// second on a thread of its own, and must not throw. `stop_now` is called there when a stop was
// asked for and a connection goes on for kStopListeningPatience; it is to end the process. Throws
// Error(Io) where the system ends the listening.
void answer_until_stopped(
    httplib::Server& server, const Observer& observer,
    const std::function<void()>& meanwhile = [] {}, const std::function<void()>& stop_now = [] {});

}  // namespace sora
