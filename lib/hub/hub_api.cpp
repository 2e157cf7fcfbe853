#include "lib/hub/hub_api.h"

#include <fmt/format.h>
#include <fnmatch.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string_view>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/hub/retries.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPublicHub = "https://huggingface.co";
constexpr int64_t kMaxFiles = 100'000;
constexpr int kMaxHubRedirects = 8;

// Pickles are never read, pictures and examples are no part of a model.
constexpr const char* kNeeded[] = {"*.safetensors", "*.gguf",    "*.json",  "*.model",
                                   "*.txt",         "README.md", "LICENSE*"};

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::string endpoint() {
  std::string given = environment("HF_ENDPOINT");
  while (given.ends_with('/')) given.pop_back();
  return given.empty() ? kPublicHub : given;
}

std::string escaped(std::string_view path) {
  std::string result;
  for (const char c : path) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) || std::strchr("-_.~/", c);
    if (plain) {
      result += c;
    } else {
      result += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return result;
}

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

// A path that stays where it is put, whoever names it.
bool is_plain_path(std::string_view path) {
  if (path.empty() || path.size() > 1024 || path.front() == '/' || path.find('\\') != path.npos ||
      path.find('\0') != path.npos)
    return false;
  for (const fs::path& part : fs::path(path)) {
    if (part == ".." || part == "." || part.empty()) return false;
  }
  return true;
}

// "https://huggingface.co" of the endpoint "https://huggingface.co/mirror".
std::string endpoint_host() {
  const std::string url = endpoint();
  const size_t scheme = url.find("://");
  return url.substr(0, url.find('/', scheme == url.npos ? 0 : scheme + 3));
}

bool is_within_hub(const HttpResponse& response) {
  const auto location = response.headers.find("location");
  return response.status >= 300 && response.status < 400 && location != response.headers.end() &&
         location->second.starts_with('/') && !location->second.starts_with("//");
}

[[noreturn]] void fail_with_status(int status, const std::string& url, const HubName& name) {
  if (status == 401 || status == 403) {
    fail(ErrorKind::Refused,
         "{}: the hub answers {}; set HF_TOKEN to a token that may read {}, and accept the model's "
         "terms "
         "on its page if it has any",
         url, status, name.repository);
  }
  if (status == 404) {
    fail(ErrorKind::NotFound, "{}@{}: the hub has no such model or revision ({})", name.repository,
         name.revision, url);
  }
  fail(ErrorKind::Io, "{}: the hub answers {}", url, status);
}

}  // namespace

std::string hub_token() {
  if (std::string given = environment("HF_TOKEN"); !given.empty()) return given;
  const std::string home = environment("HF_HOME");
  const fs::path file = home.empty() ? fs::path(environment("HOME")) / ".cache/huggingface/token"
                                     : fs::path(home) / "token";
  if (!fs::is_regular_file(file)) return "";
  std::string text = read_file(file, 4096);
  text.erase(
      std::remove_if(text.begin(), text.end(), [](unsigned char c) { return std::isspace(c); }),
      text.end());
  return text;
}

HubListing list_hub_files(HttpClient& client, const HubName& name,
                          const std::vector<std::string>& include, const Observer& observer) {
  const std::string url = fmt::format("{}/api/models/{}/revision/{}", endpoint(), name.repository,
                                      escaped(name.revision));
  const HttpResponse response = with_retries(observer, [&] {
    HttpResponse answer = client.get(url);
    if (answer.status >= 500) fail(ErrorKind::Io, "{}: the hub answers {}", url, answer.status);
    return answer;
  });
  if (response.status != 200) fail_with_status(response.status, url, name);
  const nlohmann::json json = parse_json(response.body, url);
  HubListing listing;
  if (json.is_object() && json.contains("sha") && json["sha"].is_string())
    listing.commit = json["sha"];
  const bool has_files =
      json.is_object() && json.contains("siblings") && json["siblings"].is_array();
  if (listing.commit.size() != kGitDigits || !is_hex(listing.commit) || !has_files ||
      static_cast<int64_t>(json["siblings"].size()) > kMaxFiles) {
    fail(ErrorKind::Input, "{}: is no answer of a model hub; is HF_ENDPOINT right?", url);
  }
  for (const nlohmann::json& file : json["siblings"]) {
    const std::string path =
        file.is_object() && file.contains("rfilename") && file["rfilename"].is_string()
            ? file["rfilename"].get<std::string>()
            : "";
    if (!is_plain_path(path)) fail(ErrorKind::Input, "{}: lists a file named \"{}\"", url, path);
    listing.all_paths.push_back(path);
    const auto matches = [&](const std::string& glob) {
      return fnmatch(glob.c_str(), path.c_str(), 0) == 0;
    };
    const bool wanted = include.empty()
                            ? std::any_of(std::begin(kNeeded), std::end(kNeeded), matches)
                            : std::any_of(include.begin(), include.end(), matches);
    if (wanted) listing.paths.push_back(path);
  }
  return listing;
}

HubFile describe_hub_file(HttpClient& client, const HubName& name, const std::string& commit,
                          const std::string& path, const Observer& observer) {
  HubFile file;
  file.path = path;
  file.url = fmt::format("{}/{}/resolve/{}/{}", endpoint(), name.repository, commit, escaped(path));
  const auto head = [&](const std::string& url) {
    return with_retries(observer, [&] {
      HttpResponse answer = client.head(url);
      if (answer.status >= 500) fail(ErrorKind::Io, "{}: the hub answers {}", url, answer.status);
      return answer;
    });
  };
  // A redirect within the hub is to where the file is now, of a renamed model say; one to another
  // host is to the storage, and the hub's own answer tells of the file.
  HttpResponse response = head(file.url);
  for (int redirects = 0; redirects < kMaxHubRedirects && is_within_hub(response); ++redirects)
    response = head(endpoint_host() + response.headers.at("location"));
  if (response.status >= 400) fail_with_status(response.status, file.url, name);
  const auto header = [&](const char* first, const char* second) {
    const auto found = response.headers.find(first);
    if (found != response.headers.end()) return found->second;
    const auto other = response.headers.find(second);
    return other == response.headers.end() ? std::string() : other->second;
  };
  file.etag = header("x-linked-etag", "etag");
  if (file.etag.starts_with("W/")) file.etag.erase(0, 2);
  file.etag.erase(std::remove(file.etag.begin(), file.etag.end(), '"'), file.etag.end());
  // The length of a redirect is that of a page about it.
  const std::string size =
      header("x-linked-size", response.status == 200 ? "content-length" : "x-linked-size");
  const bool known_size =
      !size.empty() && size.size() < 18 &&
      std::all_of(size.begin(), size.end(), [](char c) { return c >= '0' && c <= '9'; });
  if (!known_size || !is_hex(file.etag) ||
      (file.etag.size() != kSha256Digits && file.etag.size() != kGitDigits)) {
    fail(ErrorKind::Input, "{}: the hub tells no size and digest (ETag \"{}\", size \"{}\")",
         file.url, file.etag, size);
  }
  file.size = std::stoll(size);
  return file;
}

}  // namespace sora
