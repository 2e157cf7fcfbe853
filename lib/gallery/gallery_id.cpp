// The galleries of this machine stand in user_data_folder()/galleries, one folder a line, the last
// made first.
#include "lib/gallery/gallery_id.h"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/gallery/gallery.h"
#include "lib/provenance/digest.h"
#include "lib/tensor_io/atomic_file.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "gallery:";
constexpr size_t kFewestDigits = 4;

bool is_id(std::string_view text) {
  return text.size() >= kFewestDigits && text.find_first_not_of("0123456789abcdef") == text.npos;
}

void replace_id(std::string& file) {
  if (file.starts_with(kPrefix) && is_id(std::string_view(file).substr(kPrefix.size())))
    file = resolve_gallery_id(file);
}

}  // namespace

fs::path user_data_folder() {
  if (const char* data = std::getenv("XDG_DATA_HOME"); data != nullptr && *data != '\0')
    return fs::path(data) / "sora";
  const char* home = std::getenv("HOME");
  return home == nullptr || *home == '\0' ? fs::path() : fs::path(home) / ".local/share/sora";
}

fs::path local_library() { return user_data_folder() / "library"; }

std::vector<fs::path> registered_galleries() {
  std::vector<fs::path> galleries;
  const fs::path list = user_data_folder() / "galleries";
  if (!fs::exists(list)) return galleries;
  std::istringstream lines(read_file(list.string()));
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) galleries.emplace_back(line);
  }
  return galleries;
}

void register_gallery(const fs::path& gallery) {
  if (user_data_folder().empty()) return;
  try {
    std::vector<fs::path> galleries = registered_galleries();
    if (!galleries.empty() && galleries.front() == gallery) return;
    std::erase(galleries, gallery);
    std::string text = gallery.string() + "\n";
    for (const fs::path& other : galleries) {
      if (fs::exists(other / "clips.json")) text += other.string() + "\n";
    }
    fs::create_directories(user_data_folder());
    AtomicFile file(user_data_folder() / "galleries");
    file.write(text.data(), text.size());
    file.commit();
  } catch (const std::exception&) {
    return;
  }
}

FoundClip find_in_galleries(const std::string& id) {
  if (!is_id(id)) {
    fail(ErrorKind::Usage,
         "'{}' is no name of a clip; one is gallery: and at least {} digits of the ID on its page",
         id, kFewestDigits);
  }
  std::set<std::string> found;
  FoundClip result;
  for (const fs::path& gallery : registered_galleries()) {
    for (GalleryClip& clip : read_index(gallery)) {
      if (!clip.sha256.starts_with(id) || !found.insert(clip.sha256).second) continue;
      // The file as it was found has its side files beside it, unless it was changed since.
      std::error_code error;
      const bool is_same =
          static_cast<int64_t>(fs::file_size(clip.path, error)) == clip.size_bytes && !error &&
          DigestCache().sha256(clip.path) == clip.sha256;
      const fs::path file = is_same ? fs::path(clip.path) : gallery / clip.media;
      result = {std::move(clip), gallery, file};
    }
  }
  if (found.empty())
    fail(ErrorKind::NotFound,
         "no gallery on this machine has a clip {}; make one with sora explore DIR", id);
  if (found.size() > 1)
    fail(ErrorKind::Usage, "{} clips of the galleries begin with {}; give more digits of the ID",
         found.size(), id);
  return result;
}

std::string resolve_gallery_id(const std::string& text) {
  if (!text.starts_with(kPrefix)) return text;
  return find_in_galleries(text.substr(kPrefix.size())).file.string();
}

Request resolve_gallery_ids(const Request& request) {
  Request resolved = request;
  std::visit(
      [](auto& operation) {
        if constexpr (requires { operation.source; }) replace_id(operation.source);
        if constexpr (requires { operation.second; }) replace_id(operation.second);
        if constexpr (requires { operation.image; }) replace_id(operation.image);
        if constexpr (requires { operation.last_image; }) replace_id(operation.last_image);
        if constexpr (requires { operation.storyboard; }) replace_id(operation.storyboard);
        if constexpr (requires { operation.control; }) replace_id(operation.control);
        if constexpr (requires { operation.references; })
          for (std::string& picture : operation.references) replace_id(picture);
      },
      resolved.operation);
  return resolved;
}

}  // namespace sora
