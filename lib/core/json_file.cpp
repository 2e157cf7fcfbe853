#include "lib/core/json_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>

#include "lib/core/error.h"

namespace sora {
namespace {

constexpr std::string_view kLfsPointer = "version https://git-lfs";

// Python's json module, which writes these configs, has three numbers that JSON has not. They come
// out as strings, so that a field which may hold one can tell and any other refuses it by name.
constexpr std::string_view kPythonNumbers[] = {"NaN", "Infinity", "-Infinity"};

// The number of kPythonNumbers that `text` begins with; empty where it begins with none.
std::string_view python_number(std::string_view text) {
  for (const std::string_view number : kPythonNumbers) {
    if (text.substr(0, number.size()) == number) return number;
  }
  return {};
}

std::string quote_python_numbers(std::string_view text) {
  std::string quoted;
  bool in_string = false;
  for (size_t i = 0; i < text.size();) {
    const std::string_view number = in_string ? "" : python_number(text.substr(i));
    if (!number.empty()) {
      quoted.append(1, '"').append(number).append(1, '"');
      i += number.size();
      continue;
    }
    const bool escaped = in_string && text[i] == '\\' && i + 1 < text.size();
    if (text[i] == '"') in_string = !in_string;
    quoted.append(text.substr(i, escaped ? 2 : 1));
    i += escaped ? 2 : 1;
  }
  return quoted;
}

bool mentions_python_number(std::string_view text) {
  for (const std::string_view number : kPythonNumbers) {
    if (text.find(number) != text.npos) return true;
  }
  return false;
}

// Looks at depth and number of the values before anything is kept of them, in time that grows with
// the text alone.
class Limits final : public nlohmann::json_sax<nlohmann::json> {
 public:
  Limits(const std::string& description, size_t num_bytes)
      : description_(description), num_bytes_(num_bytes) {}

  bool null() override { return count(); }
  bool boolean(bool) override { return count(); }
  bool number_integer(number_integer_t) override { return count(); }
  bool number_unsigned(number_unsigned_t) override { return count(); }
  bool number_float(number_float_t, const string_t&) override { return count(); }
  bool string(string_t&) override { return count(); }
  bool binary(binary_t&) override { return count(); }
  bool key(string_t&) override { return true; }
  bool start_object(size_t) override { return enter(); }
  bool start_array(size_t) override { return enter(); }
  bool end_object() override { return leave(); }
  bool end_array() override { return leave(); }
  bool parse_error(size_t, const std::string&, const nlohmann::json::exception& error) override {
    const auto* syntax = dynamic_cast<const nlohmann::json::parse_error*>(&error);
    if (!syntax)
      fail(ErrorKind::Input, "{}: holds a number that JSON readers cannot represent", description_);
    fail(ErrorKind::Input, "{}: is not valid JSON at byte {} of {}", description_, syntax->byte,
         num_bytes_);
  }

 private:
  bool count() {
    if (++num_values_ > kMaxJsonValues)
      fail(ErrorKind::Input, "{}: JSON has more than {} values", description_, kMaxJsonValues);
    return true;
  }
  bool enter() {
    if (++depth_ > kMaxJsonDepth)
      fail(ErrorKind::Input, "{}: JSON nests deeper than {} levels", description_, kMaxJsonDepth);
    return count();
  }
  bool leave() {
    --depth_;
    return true;
  }

  const std::string& description_;
  size_t num_bytes_;
  int64_t num_values_ = 0;
  int depth_ = 0;
};

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  int get() const { return fd_; }

 private:
  int fd_;
};

}  // namespace

std::string read_file(const std::filesystem::path& path, int64_t max_bytes) {
  // Nonblocking, or a FIFO in place of the file would hang the open.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) {
    const int code = errno;
    const bool absent = code == ENOENT || code == ENOTDIR;
    fail(absent ? ErrorKind::NotFound : ErrorKind::Io, "{}: cannot be opened: {}", path.string(),
         std::strerror(code));
  }
  struct stat status = {};
  if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    fail(ErrorKind::Input, "{}: is not a regular file", path.string());
  }
  if (status.st_size > max_bytes) {
    fail(ErrorKind::Input, "{}: has {} bytes, at most {} are accepted for this kind of file",
         path.string(), static_cast<int64_t>(status.st_size), max_bytes);
  }
  std::string bytes(static_cast<size_t>(status.st_size), '\0');
  size_t filled = 0;
  while (filled < bytes.size()) {
    const ssize_t count = ::read(file.get(), bytes.data() + filled, bytes.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0)
      fail(ErrorKind::Io, "{}: cannot be read: {}", path.string(), std::strerror(errno));
    if (count == 0) break;
    filled += static_cast<size_t>(count);
  }
  bytes.resize(filled);
  return bytes;
}

nlohmann::json parse_json(std::string_view text, const std::string& description) {
  if (text.substr(0, kLfsPointer.size()) == kLfsPointer) {
    fail(ErrorKind::Input,
         "{}: is a git-lfs pointer, not the file itself; run `git lfs pull` in its repository",
         description);
  }
  // The parser takes a zero byte for the end, and whatever stands behind it would go unseen.
  if (const size_t zero = text.find('\0'); zero != text.npos) {
    fail(ErrorKind::Input, "{}: is not valid JSON at byte {} of {}", description, zero + 1,
         text.size());
  }
  std::string quoted;
  if (mentions_python_number(text)) text = quoted = quote_python_numbers(text);
  Limits limits(description, text.size());
  nlohmann::json::sax_parse(text, &limits);
  return nlohmann::json::parse(text);
}

nlohmann::json read_json_file(const std::filesystem::path& path) {
  return parse_json(read_file(path), path.string());
}

std::string to_text(const nlohmann::json& json) {
  return json.dump(-1, ' ', /*ensure_ascii=*/false, nlohmann::json::error_handler_t::replace);
}

}  // namespace sora
