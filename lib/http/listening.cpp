#include "lib/http/listening.h"

#include <sys/socket.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "lib/core/ascii.h"
#include "lib/core/error.h"

namespace sora {

std::string name_of_host(const std::string& header) {
  const size_t colon = header.rfind(':');
  const bool has_port = colon != std::string::npos && header.find(']', colon) == std::string::npos;
  const std::string name = ascii_lower(has_port ? header.substr(0, colon) : header);
  const bool has_brackets = name.size() > 2 && name.front() == '[' && name.back() == ']';
  return has_brackets ? name.substr(1, name.size() - 2) : name;
}

std::string in_url(const std::string& address) {
  return address.find(':') == std::string::npos ? address : "[" + address + "]";
}

bool is_loopback(const std::string& name) {
  return name == "127.0.0.1" || name == "localhost" || name == "::1";
}

int take_port(httplib::Server& server, const std::string& address, int port) {
  // A port that is taken is taken: the library's own options would share it with another server.
  server.set_socket_options([](socket_t socket) {
    const int yes = 1;
    ::setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
  });
  // What is left unread of a request that was refused would be taken for the next one.
  server.set_keep_alive_max_count(1);
  const int taken = port == 0                            ? server.bind_to_any_port(address)
                    : server.bind_to_port(address, port) ? port
                                                         : -1;
  if (taken < 0)
    fail(ErrorKind::Io,
         "port {} of {} is taken or not allowed; give another with --port, or 0 for any", port,
         address);
  return taken;
}

void answer_until_stopped(httplib::Server& server, const Observer& observer,
                          const std::function<void()>& meanwhile,
                          const std::function<void()>& stop_now) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::milliseconds kPoll(100);
  std::mutex mutex;
  std::condition_variable changed;
  bool has_ended = false;
  const auto ends_meanwhile = [&] {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, kPoll, [&] { return has_ended; });
  };
  std::thread beside([&] {
    std::optional<Clock::time_point> stopped_at;
    do {
      if (!observer.stop_requested()) {
        meanwhile();
      } else if (stopped_at && Clock::now() - *stopped_at > kStopListeningPatience) {
        return stop_now();
      } else if (!stopped_at && server.is_running()) {  // stop() before that would be lost
        server.stop();
        stopped_at = Clock::now();
      }
    } while (!ends_meanwhile());
  });
  const bool was_stopped = server.listen_after_bind();
  {
    const std::lock_guard lock(mutex);
    has_ended = true;
  }
  changed.notify_all();
  beside.join();
  if (!was_stopped) fail(ErrorKind::Io, "the system took the server's port away; start it again");
}

}  // namespace sora
