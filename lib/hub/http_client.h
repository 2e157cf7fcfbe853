// HTTP as a model hub speaks it, by libcurl.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace sora {

struct HttpResponse {
  int status = 0;
  std::map<std::string, std::string> headers;  // names in lower case
  std::string body;
};

// One connection, kept open from request to request; for one thread.
class HttpClient {
 public:
  // `token` is sent to the host that is asked, and to no other that it redirects to; empty: none.
  explicit HttpClient(std::string token);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // Each throws Error(Io) where no answer comes, Error(Input) where a body is longer than this.
  HttpResponse get(const std::string& url, int64_t max_bytes = 64 << 20);
  HttpResponse head(const std::string& url);  // redirects are not followed

  // The body from byte `from` on, handed over as it comes; `take` returns false to stop. The status
  // is 206, or 200 where the server knows no ranges and the body is the whole; of any other status
  // the body is not handed over. Throws Error(Io) where the connection breaks, after what has come
  // was handed over.
  using Take = std::function<bool(std::string_view bytes)>;
  HttpResponse download(const std::string& url, int64_t from,
                        const std::function<void(int status)>& begin, const Take& take);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace sora
