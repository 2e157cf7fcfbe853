#include "lib/hub/http_client.h"

#include <curl/curl.h>

#include <cctype>
#include <cstdlib>
#include <exception>
#include <mutex>

#include "lib/core/ascii.h"
#include "lib/core/error.h"

namespace sora {
namespace {

constexpr long kConnectTimeout_s = 30;
// Slower than this for as long as below is a dead connection.
constexpr long kStallBytesPerSecond = 1;
constexpr long kStallTime_s = 60;
constexpr long kMaxRedirects = 8;

// What the callbacks of one transfer share.
struct Transfer {
  HttpResponse response;
  std::function<bool(std::string_view)> take;
  std::function<void(int)> begin;
  bool begun = false;
  bool stopped = false;
  std::exception_ptr failure;  // of a callback; it must not pass through libcurl
};

size_t on_header(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view line(data, size * count);
  if (line.starts_with("HTTP/")) {  // of each answer on the way; the last counts
    transfer.response.headers.clear();
    const size_t space = line.find(' ');
    transfer.response.status =
        space == line.npos ? 0 : std::atoi(std::string(line.substr(space + 1, 3)).c_str());
    return size * count;
  }
  const size_t colon = line.find(':');
  if (colon == line.npos) return size * count;
  const std::string name = ascii_lower(std::string(line.substr(0, colon)));
  std::string_view value = line.substr(colon + 1);
  while (!value.empty() && std::isspace(static_cast<unsigned char>(value.front())))
    value.remove_prefix(1);
  while (!value.empty() && std::isspace(static_cast<unsigned char>(value.back())))
    value.remove_suffix(1);
  transfer.response.headers[name] = value;
  return size * count;
}

size_t on_body(char* data, size_t size, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const int status = transfer.response.status;
  if (status >= 300 && status < 400) return size * count;  // a page about the redirect
  try {
    if (!transfer.begun) {
      transfer.begun = true;
      if (transfer.begin) transfer.begin(status);
    }
    if (transfer.take(std::string_view(data, size * count))) return size * count;
    transfer.stopped = true;
  } catch (...) {
    transfer.failure = std::current_exception();
  }
  return 0;
}

}  // namespace

struct HttpClient::State {
  CURL* handle = nullptr;
  std::string token;

  // Throws Error(Io) unless an answer came whole or `take` asked to stop.
  void run(const std::string& url, Transfer& transfer) const {
    curl_easy_setopt(handle, CURLOPT_URL, url.c_str());
    curl_easy_setopt(handle, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(handle, CURLOPT_HEADERDATA, &transfer);
    curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(handle, CURLOPT_WRITEDATA, &transfer);
    curl_easy_setopt(handle, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(handle, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(handle, CURLOPT_MAXREDIRS, kMaxRedirects);
    curl_easy_setopt(handle, CURLOPT_CONNECTTIMEOUT, kConnectTimeout_s);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_LIMIT, kStallBytesPerSecond);
    curl_easy_setopt(handle, CURLOPT_LOW_SPEED_TIME, kStallTime_s);
    curl_easy_setopt(handle, CURLOPT_USERAGENT, "sora");
    if (!token.empty()) {
      curl_easy_setopt(handle, CURLOPT_HTTPAUTH, static_cast<long>(CURLAUTH_BEARER));
      curl_easy_setopt(handle, CURLOPT_XOAUTH2_BEARER, token.c_str());
    }
    const CURLcode code = curl_easy_perform(handle);
    if (transfer.failure) std::rethrow_exception(transfer.failure);
    if (code == CURLE_OK || transfer.stopped) return;
    fail(ErrorKind::Io, "{}: {}", url, curl_easy_strerror(code));
  }
};

HttpClient::HttpClient(std::string token) : state_(std::make_unique<State>()) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  state_->token = std::move(token);
  state_->handle = curl_easy_init();
  if (!state_->handle) fail(ErrorKind::Internal, "libcurl cannot be started");
}

HttpClient::~HttpClient() { curl_easy_cleanup(state_->handle); }

HttpResponse HttpClient::get(const std::string& url, int64_t max_bytes) {
  curl_easy_reset(state_->handle);
  curl_easy_setopt(state_->handle, CURLOPT_FOLLOWLOCATION, 1L);
  Transfer transfer;
  transfer.take = [&](std::string_view bytes) {
    transfer.response.body.append(bytes);
    return static_cast<int64_t>(transfer.response.body.size()) <= max_bytes;
  };
  state_->run(url, transfer);
  if (transfer.stopped)
    fail(ErrorKind::Input, "{}: the answer is longer than {} bytes", url, max_bytes);
  return std::move(transfer.response);
}

HttpResponse HttpClient::head(const std::string& url) {
  curl_easy_reset(state_->handle);
  curl_easy_setopt(state_->handle, CURLOPT_NOBODY, 1L);
  Transfer transfer;
  transfer.take = [](std::string_view) { return true; };
  state_->run(url, transfer);
  return std::move(transfer.response);
}

HttpResponse HttpClient::download(const std::string& url, int64_t from,
                                  const std::function<void(int)>& begin, const Take& take) {
  curl_easy_reset(state_->handle);
  curl_easy_setopt(state_->handle, CURLOPT_FOLLOWLOCATION, 1L);
  const std::string range = std::to_string(from) + "-";
  if (from > 0) curl_easy_setopt(state_->handle, CURLOPT_RANGE, range.c_str());
  Transfer transfer;
  const auto is_body = [&] {
    return transfer.response.status == 200 || transfer.response.status == 206;
  };
  transfer.begin = [&](int status) {
    if (is_body()) begin(status);
  };
  transfer.take = [&](std::string_view bytes) { return !is_body() || take(bytes); };
  state_->run(url, transfer);
  return std::move(transfer.response);
}

}  // namespace sora
