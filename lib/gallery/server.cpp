// The server is for this machine only: it listens on the loopback address and answers to no other
// name, so that no page on the web reaches it under a name of its own.
#include "lib/gallery/server.h"

#include <fmt/format.h>
#include <httplib.h>

#include <algorithm>
#include <chrono>
#include <exception>
#include <mutex>
#include <string>
#include <utility>

#include "lib/http/listening.h"
#include "lib/http/ranges.h"

namespace sora {
namespace {

using Clock = std::chrono::steady_clock;

constexpr char kAddress[] = "127.0.0.1";
constexpr char kServedPolicy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; media-src 'self'; "
    "connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
constexpr std::chrono::seconds kRefresh(2);

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

// Whether a page of another site wants to have it as its own script or picture: a link to it is
// followed.
bool is_from_elsewhere(const httplib::Request& asked) {
  const std::string site = asked.get_header_value("Sec-Fetch-Site");
  return (site == "cross-site" || site == "same-site") &&
         asked.get_header_value("Sec-Fetch-Mode") != "navigate";
}

// Looks for new clips, each time that it is called and the last look is some time ago. A folder
// that changes while it is read, or cannot be read for a while, must not end the server.
class Refresh {
 public:
  Refresh(const GalleryRequest& request, Observer& observer, Version& version)
      : request_(request), observer_(observer), version_(version) {}

  void operator()() {
    const auto start = Clock::now();
    if (start < next_) return;
    class Unheard : public Observer {
     public:
      explicit Unheard(const Observer& asked) : asked_(asked) {}
      bool stop_requested() const override { return asked_.stop_requested(); }

     private:
      const Observer& asked_;
    } unheard(observer_);
    try {
      version_.set(make_gallery(request_, unheard).version);
    } catch (const std::exception& error) {
      if (!observer_.stop_requested()) observer_.notice(error.what());
    }
    next_ = Clock::now() + std::max<Clock::duration>(kRefresh, 4 * (Clock::now() - start));
  }

 private:
  const GalleryRequest& request_;
  Observer& observer_;
  Version& version_;
  Clock::time_point next_ = Clock::now() + kRefresh;
};

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
                              {"Cross-Origin-Resource-Policy", "same-origin"},
                              {"Cache-Control", "no-cache"}});
  server.set_pre_routing_handler([&](const httplib::Request& asked, httplib::Response& response) {
    if (!is_loopback(name_of_host(asked.get_header_value("Host"))) || is_from_elsewhere(asked)) {
      ranges_to_send(asked).clear();
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
    ranges_to_send(asked).clear();
    return httplib::Server::HandlerResponse::Handled;
  });
  server.set_file_request_handler([](const httplib::Request& asked, httplib::Response& response) {
    if (clamp_ranges(asked, response.body.size(), response).empty()) return;
    ranges_to_send(asked).clear();
    response.body.clear();
    response.status = 416;
  });
  on_ready(fmt::format("http://{}:{}/", kAddress, take_port(server, kAddress, port)));
  Refresh refresh(request, observer, version);
  answer_until_stopped(server, observer, [&] { refresh(); });
}

}  // namespace sora
