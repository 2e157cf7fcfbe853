// The server is for this machine only: it listens on the loopback address and answers no other
// name, so that no page on the web reaches it under a name of its own.
#include "lib/gallery/server.h"

#include <fmt/format.h>
#include <httplib.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "lib/core/error.h"

namespace sora {
namespace {

using Clock = std::chrono::steady_clock;

constexpr char kServedPolicy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
constexpr std::chrono::seconds kRefresh(2);

bool is_this_machine(const std::string& host) {
  const std::string name = host.substr(0, host.rfind(':'));
  return name == "127.0.0.1" || name == "localhost";
}

// What the index page shows now; empty until the gallery was first looked at.
class Version {
 public:
  void set(std::string version) {
    const std::lock_guard lock(mutex_);
    version_ = std::move(version);
  }
  std::string get() const {
    const std::lock_guard lock(mutex_);
    return version_;
  }

 private:
  mutable std::mutex mutex_;
  std::string version_;
};

// Looks for new clips until asked to stop. A folder that changes while it is read, or cannot be
// read for a while, must not end the server.
void refresh(const GalleryRequest& request, Observer& observer, httplib::Server& server,
             Version& version) {
  Observer unheard;
  auto next = Clock::now() + kRefresh;
  while (!observer.stop_requested()) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    if (Clock::now() < next) continue;
    const auto start = Clock::now();
    try {
      version.set(make_gallery(request, unheard).version);
    } catch (const std::exception& error) {
      observer.notice(error.what());
    }
    next = Clock::now() + std::max<Clock::duration>(kRefresh, 4 * (Clock::now() - start));
  }
  server.stop();
}

}  // namespace

void serve_gallery(const GalleryRequest& request, int port,
                   const std::function<void(const std::string& address)>& on_ready,
                   Observer& observer) {
  httplib::Server server;
  Version version;
  server.set_mount_point("/", request.output);
  server.set_file_extension_and_mimetype_mapping("webp", "image/webp");
  server.set_file_extension_and_mimetype_mapping("mkv", "video/x-matroska");
  server.set_file_extension_and_mimetype_mapping("mov", "video/quicktime");
  server.set_default_headers({{"Content-Security-Policy", kServedPolicy},
                              {"X-Content-Type-Options", "nosniff"},
                              {"Referrer-Policy", "no-referrer"},
                              {"Cache-Control", "no-cache"}});
  server.set_pre_routing_handler([&](const httplib::Request& asked, httplib::Response& response) {
    if (!is_this_machine(asked.get_header_value("Host"))) {
      response.status = 403;
      return httplib::Server::HandlerResponse::Handled;
    }
    if (asked.path == "/data/live.js") {
      response.set_content("window.soraLive = true;\n", "text/javascript");
    } else if (asked.path == "/data/version") {
      response.set_content(version.get(), "text/plain");
    } else {
      return httplib::Server::HandlerResponse::Unhandled;
    }
    return httplib::Server::HandlerResponse::Handled;
  });
  const int bound = port == 0                                ? server.bind_to_any_port("127.0.0.1")
                    : server.bind_to_port("127.0.0.1", port) ? port
                                                             : -1;
  if (bound < 0)
    fail(ErrorKind::Io, "port {} is taken; give another with --port, or 0 for any", port);
  on_ready(fmt::format("http://127.0.0.1:{}/", bound));
  std::thread refresher([&] { refresh(request, observer, server, version); });
  server.listen_after_bind();
  refresher.join();
}

}  // namespace sora
