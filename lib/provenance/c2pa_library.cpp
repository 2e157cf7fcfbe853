#include "lib/provenance/c2pa_library.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <vector>

#include "lib/core/ascii.h"
#include "lib/core/error.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

struct Format {
  std::string_view extension;
  const char* media_type;
};

constexpr Format kFormats[] = {{".mp4", "video/mp4"},  {".mov", "video/quicktime"},
                               {".gif", "image/gif"},  {".webp", "image/webp"},
                               {".png", "image/png"},  {".apng", "image/png"},
                               {".jpg", "image/jpeg"}, {".jpeg", "image/jpeg"}};

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::vector<std::string> places() {
  if (const std::string named = environment("SORA_C2PA"); !named.empty()) return {named};
  std::vector<std::string> places;
  fs::path cache = environment("SORA_CACHE");
  if (cache.empty() && !environment("XDG_CACHE_HOME").empty())
    cache = fs::path(environment("XDG_CACHE_HOME")) / "sora";
  if (cache.empty() && !environment("HOME").empty())
    cache = fs::path(environment("HOME")) / ".cache" / "sora";
  if (!cache.empty()) places.push_back((cache / "c2pa-0.38.1" / "libc2pa_c.so").string());
  places.emplace_back("libc2pa_c.so");
  return places;
}

// Null where there is none.
void* open_library() {
  static void* const library = [] {
    for (const std::string& place : places()) {
      if (void* opened = ::dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL)) return opened;
    }
    return static_cast<void*>(nullptr);
  }();
  return library;
}

template <typename Function>
void load(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  if (!function) {
    fail(ErrorKind::NotFound,
         "libc2pa_c.so has no function {}; version 0.38.1 has it, scripts/get-c2pa brings that",
         name);
  }
}

}  // namespace

bool C2paLibrary::is_here() { return open_library() != nullptr; }

const C2paLibrary& C2paLibrary::get() {
  static const C2paLibrary library;
  return library;
}

C2paLibrary::C2paLibrary() {
  void* library = open_library();
  if (!library) {
    fail(ErrorKind::NotFound,
         "C2PA needs libc2pa_c.so, which is not here; scripts/get-c2pa brings it, or $SORA_C2PA "
         "names it");
  }
  load(library, "c2pa_version", functions_.version);
  load(library, "c2pa_error", functions_.error);
  load(library, "c2pa_string_free", functions_.string_free);
  load(library, "c2pa_create_stream", functions_.create_stream);
  load(library, "c2pa_release_stream", functions_.release_stream);
  load(library, "c2pa_builder_from_json", functions_.builder_from_json);
  load(library, "c2pa_builder_free", functions_.builder_free);
  load(library, "c2pa_builder_add_ingredient_from_stream", functions_.builder_add_ingredient);
  load(library, "c2pa_builder_sign", functions_.builder_sign);
  load(library, "c2pa_manifest_bytes_free", functions_.manifest_bytes_free);
  load(library, "c2pa_signer_from_info", functions_.signer_from_info);
  load(library, "c2pa_signer_free", functions_.signer_free);
  load(library, "c2pa_reader_from_stream", functions_.reader_from_stream);
  load(library, "c2pa_reader_json", functions_.reader_json);
  load(library, "c2pa_reader_free", functions_.reader_free);
}

std::string C2paLibrary::taken(char* text) const {
  if (!text) return "";
  std::string copy = text;
  functions_.string_free(text);
  return copy;
}

C2paFile::C2paFile(const std::string& path, const char* mode)
    : path_(path), file_(std::fopen(path.c_str(), mode)) {
  if (!file_) fail(ErrorKind::Io, "{} cannot be opened: {}", path, std::strerror(errno));
  const auto read = [](void* file, uint8_t* data, intptr_t size) -> intptr_t {
    const size_t got =
        std::fread(data, 1, static_cast<size_t>(size), static_cast<std::FILE*>(file));
    return got == 0 && std::ferror(static_cast<std::FILE*>(file)) ? -1 : static_cast<intptr_t>(got);
  };
  const auto seek = [](void* file, intptr_t offset, int whence) -> intptr_t {
    // The library counts whence as C does: 0 from the start, 1 from here, 2 from the end.
    if (::fseeko(static_cast<std::FILE*>(file), offset, whence) != 0) return -1;
    return ::ftello(static_cast<std::FILE*>(file));
  };
  const auto write = [](void* file, const uint8_t* data, intptr_t size) -> intptr_t {
    const size_t put =
        std::fwrite(data, 1, static_cast<size_t>(size), static_cast<std::FILE*>(file));
    return put < static_cast<size_t>(size) ? -1 : size;
  };
  const auto flush = [](void* file) -> intptr_t {
    return std::fflush(static_cast<std::FILE*>(file)) == 0 ? 0 : -1;
  };
  stream_ = C2paLibrary::get()->create_stream(file_, read, seek, write, flush);
}

C2paFile::~C2paFile() {
  if (stream_) C2paLibrary::get()->release_stream(stream_);
  if (file_) std::fclose(file_);
}

void C2paFile::sync() {
  if (std::fflush(file_) != 0 || ::fsync(::fileno(file_)) != 0)
    fail(ErrorKind::Io, "{} cannot be written: {}", path_, std::strerror(errno));
}

std::string c2pa_format(const std::string& path) {
  const std::string extension = ascii_lower(fs::path(path).extension().string());
  for (const Format& format : kFormats) {
    if (format.extension == extension) return format.media_type;
  }
  return "";
}

}  // namespace sora
