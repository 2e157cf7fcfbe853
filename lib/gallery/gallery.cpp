#include "lib/gallery/gallery.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <sstream>

#include "lib/core/error.h"
#include "lib/core/file_lock.h"
#include "lib/core/json_file.h"
#include "lib/gallery/clip_scan.h"
#include "lib/gallery/family.h"
#include "lib/gallery/gallery_id.h"
#include "lib/gallery/pages.h"
#include "lib/gallery/share.h"
#include "lib/gallery/thumbnails.h"
#include "lib/tensor_io/atomic_file.h"
#include "sora/embedded_gallery.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

// A page that says the same stays as it is, so that a server's and a browser's caches hold.
void write_text(const fs::path& path, std::string_view text) {
  if (fs::exists(path) && fs::file_size(path) == text.size() && read_file(path.string()) == text)
    return;
  AtomicFile file(path);
  file.write(text.data(), text.size());
  file.commit();
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) fail(ErrorKind::Io, "{} cannot be made: {}", folder.string(), error.message());
}

void check_is_gallery(const fs::path& folder) {
  std::error_code error;
  if (fs::exists(folder / "clips.json", error) || fs::is_empty(folder, error)) return;
  fail(ErrorKind::Usage,
       "{} holds other files and is no gallery; give an empty or new folder with -o",
       folder.string());
}

void prepare_contents(const fs::path& gallery) {
  // First of all, so that what an interrupted run leaves is a gallery to the next one.
  if (!fs::exists(gallery / "clips.json")) write_index(gallery, {});
  for (const char* folder : {"clip", "media", "data"}) make_folder(gallery / folder);
}

int64_t num_missing(const std::set<std::string>& wanted, const std::set<std::string>& there) {
  return std::count_if(wanted.begin(), wanted.end(),
                       [&](const std::string& id) { return there.count(id) == 0; });
}

bool has_size(const fs::path& path, int64_t size_bytes) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  return !error && static_cast<int64_t>(size) == size_bytes;
}

void copy_media(const fs::path& from, const fs::path& to) {
  std::ifstream source(from, std::ios::binary);
  AtomicFile copy(to);
  std::array<char, 1 << 16> buffer;
  while (source.read(buffer.data(), buffer.size()) || source.gcount() > 0)
    copy.write(buffer.data(), static_cast<size_t>(source.gcount()));
  if (!source.eof()) {
    fail(ErrorKind::Io, "{} cannot be copied into the gallery: it cannot be read to its end",
         from.string());
  }
  copy.commit();
}

// The clip's own file in the gallery: another name of the same file where the disk allows it, else
// a copy.
void place_media(const fs::path& from, const fs::path& to) {
  std::error_code error;
  const auto size = fs::file_size(from, error);
  if (!error && has_size(to, static_cast<int64_t>(size))) return;
  fs::create_hard_link(from, to, error);
  if (error) copy_media(from, to);
}

int64_t time_of(const fs::path& path) {
  std::error_code error;
  const fs::file_time_type changed = fs::last_write_time(path, error);
  if (error) return 0;
  const auto since = changed - fs::file_time_type::clock::now() + std::chrono::system_clock::now();
  return std::chrono::duration_cast<std::chrono::seconds>(since.time_since_epoch()).count();
}

bool is_unchanged(const GalleryClip& clip, const fs::path& path) {
  return has_size(path, clip.size_bytes) && std::abs(clip.made - time_of(path)) <= 1;
}

// Thumbnails of sources that came with an imported clip.
std::vector<std::string> place_source_pictures(const fs::path& gallery, const fs::path& path,
                                               const GalleryClip& clip) {
  std::vector<std::string> pictures;
  for (const std::string& sha256 : clip.source_sha256) {
    const fs::path thumbnail = path.parent_path() / kSourcesFolder / (sha256 + ".webp");
    if (sha256.find_first_not_of("0123456789abcdef") != std::string::npos ||
        !fs::exists(thumbnail)) {
      pictures.emplace_back();
      continue;
    }
    pictures.push_back(
        fmt::format("media/{}.source-{}.webp", clip.id, sha256.substr(0, clip.id.size())));
    place_media(thumbnail, gallery / pictures.back());
  }
  return pictures;
}

// Nothing, with a notice, of a file that cannot be read.
std::optional<GalleryClip> read_facts(const fs::path& path, Observer& observer) {
  try {
    return read_clip_facts(path);
  } catch (const nlohmann::json::exception& error) {  // of a manifest that is none of ours
    observer.notice(fmt::format("left out: {}: {}", path.string(), error.what()));
    return std::nullopt;
  } catch (const Error& error) {
    const bool is_unreadable = error.kind() == ErrorKind::Input ||
                               error.kind() == ErrorKind::NotFound || error.kind() == ErrorKind::Io;
    if (!is_unreadable) throw;
    observer.notice(fmt::format("left out: {}", error.what()));
    return std::nullopt;
  }
}

void add_clip(const fs::path& gallery, const fs::path& path, GalleryClip& clip,
              Observer& observer) {
  clip.media = "media/" + clip.id + path.extension().string();
  place_media(path, gallery / clip.media);
  const fs::path side = path.string() + ".json";  // the manifest of a container that keeps none
  if (fs::exists(side)) place_media(side, gallery / (clip.media + ".json"));
  clip.source_pictures = place_source_pictures(gallery, path, clip);
  const std::string poster = "media/" + clip.id + ".poster.webp";
  const std::string preview = "media/" + clip.id + ".preview.webp";
  try {
    if (!fs::exists(gallery / preview)) write_thumbnails(path, gallery / poster, gallery / preview);
    clip.poster = poster;
    clip.preview = preview;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::Input) throw;
    observer.notice(fmt::format("no picture of it: {}", error.what()));
  }
}

// The lines of a list of IDs, file names or paths, without its comments.
std::vector<std::string> read_list(const std::string& path) {
  std::vector<std::string> lines;
  std::istringstream text(path.empty() ? std::string() : read_file(path));
  for (std::string line; std::getline(text, line);) {
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.back()))) line.pop_back();
    if (!line.empty() && !line.starts_with('#')) lines.push_back(std::move(line));
  }
  return lines;
}

std::vector<std::string> featured_ids(const std::vector<std::string>& lines,
                                      const std::string& list,
                                      const std::vector<GalleryClip>& clips, Observer& observer) {
  std::vector<std::string> featured;
  for (const std::string& line : lines) {
    const auto found = std::find_if(clips.begin(), clips.end(), [&](const GalleryClip& clip) {
      return clip.id == line || clip.name == line ||
             clip.path == fs::absolute(line).lexically_normal().string();
    });
    if (found == clips.end()) {
      observer.notice(fmt::format("{}: '{}' is no clip of the gallery", list, line));
    } else {
      featured.push_back(found->id);
    }
  }
  return featured;
}

// The version of what the index page shows.
std::string write_pages(const GalleryRequest& request, const std::vector<GalleryClip>& clips,
                        const std::vector<std::string>& featured) {
  const fs::path gallery = request.output;
  const Family family(clips);
  std::set<std::string> pages;
  for (const GalleryClip& clip : clips) {
    write_text(gallery / "clip" / (clip.id + ".html"), clip_page(clip, family, request.title));
    pages.insert(clip.id + ".html");
  }
  for (const auto& entry : fs::directory_iterator(gallery / "clip")) {
    if (!pages.count(entry.path().filename().string())) fs::remove(entry.path());
  }
  write_text(gallery / "gallery.css", kGalleryCss);
  write_text(gallery / "gallery.js", kGalleryJs);
  write_text(gallery / "icon.svg", kGalleryIcon);
  write_text(gallery / "data/live.js", "window.soraLive = false;\n");
  const PageData data = page_data(clips, featured);
  write_text(gallery / "data/clips.js", data.script);
  write_text(gallery / "index.html", index_page(request.title));
  return data.version;
}

}  // namespace

GalleryReport make_gallery(const GalleryRequest& request, Observer& observer) {
  const fs::path gallery = request.output;
  const std::vector<fs::path> paths = find_clips(request.folders);
  const std::vector<std::string> featured = read_list(request.featured);
  if (!fs::exists(gallery)) make_folder(gallery);
  FileLock lock(gallery);
  lock.lock(observer);
  check_is_gallery(gallery);
  prepare_contents(gallery);
  std::map<std::string, GalleryClip> known;
  std::set<std::string> known_ids;
  for (GalleryClip& clip : read_index(gallery)) {
    known_ids.insert(clip.id);
    known.emplace(clip.path, std::move(clip));
  }

  std::vector<GalleryClip> found;  // one for each file
  std::vector<GalleryClip> clips;  // one for each card: files may be the same
  std::set<std::string> ids;
  observer.begin(Phase::Write, static_cast<int64_t>(paths.size()));
  int64_t num_done = 0;
  for (const fs::path& path : paths) {
    check_stop(observer);
    observer.advance(Phase::Write, ++num_done);
    const auto before = known.find(path.string());
    const bool is_kept = before != known.end() && is_unchanged(before->second, path) &&
                         has_size(gallery / before->second.media, before->second.size_bytes);
    std::optional<GalleryClip> clip = is_kept ? before->second : read_facts(path, observer);
    if (!clip) continue;
    if (!is_kept) add_clip(gallery, path, *clip, observer);
    found.push_back(*clip);
    if (ids.insert(clip->id).second) clips.push_back(std::move(*clip));
  }
  for (std::vector<GalleryClip>* list : {&found, &clips}) {
    std::stable_sort(list->begin(), list->end(),
                     [](const GalleryClip& a, const GalleryClip& b) { return a.made > b.made; });
  }
  GalleryReport report;
  report.num_clips = static_cast<int64_t>(clips.size());
  report.num_new = num_missing(ids, known_ids);
  report.num_gone = num_missing(known_ids, ids);
  write_index(gallery, found);
  report.version =
      write_pages(request, clips, featured_ids(featured, request.featured, found, observer));
  for (const auto& entry : fs::directory_iterator(gallery / "media")) {
    const std::string name = entry.path().filename().string();
    if (!ids.count(name.substr(0, name.find('.')))) fs::remove(entry.path());
  }
  register_gallery(fs::absolute(gallery).lexically_normal());
  report.index = (gallery / "index.html").string();
  return report;
}

}  // namespace sora
