// A gallery: folders of clips as web pages that open from the disk and from any web server, and the
// index by which a clip is found again as gallery:ID.
//
// A gallery's folder holds index.html, clip/ID.html, media/ID.EXT (the clips, linked or copied),
// media/ID.webp (posters and moving previews), data/ (what the page reads) and clips.json, the
// index. ID is the beginning of the clip's SHA-256.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/core/observer.h"

namespace sora {

constexpr size_t kGalleryIdDigits = 12;  // of the SHA-256 of a clip

// A clip as the gallery knows it; all text is valid UTF-8.
struct GalleryClip {
  std::string id;      // the first kGalleryIdDigits of sha256
  std::string sha256;  // of the file
  std::string path;    // where it was found; the index has a clip once for each place
  std::string media;   // its file in the gallery, relative to the gallery's folder
  std::string poster;  // likewise; empty where no picture could be made
  std::string preview;
  std::string name;       // the file's name
  std::string prompt;     // empty where the clip carries no manifest
  std::string operation;  // empty likewise, as all that follow but the sizes
  std::string model;
  std::string preset;
  std::string seed;
  int64_t width = 0;
  int64_t height = 0;
  int64_t num_frames = 0;
  double fps = 0;
  int64_t made = 0;        // the file's time, seconds since 1970
  int64_t size_bytes = 0;  // of the file
  std::vector<std::string> source_sha256;
  // In the gallery, one a source; "" where none came with the clip.
  std::vector<std::string> source_pictures;
  nlohmann::json manifest;  // null where there is none
};

nlohmann::json to_json(const GalleryClip& clip);
GalleryClip clip_from_json(const nlohmann::json& json);

struct GalleryRequest {
  std::vector<std::string> folders;
  std::string output = "gallery";
  std::string title = "Explore";
  std::string featured;  // a file of IDs, names or paths, one a line; empty: none
  bool live = false;     // the page asks its server for news
};

struct GalleryReport {
  std::string index;  // path of index.html
  int64_t num_clips = 0;
  int64_t num_new = 0;
  int64_t num_gone = 0;
  std::string version;  // of what the index page shows
};

// Makes the gallery or brings it up to date; clips that did not change are not read again. What
// cannot be read is a notice. Throws Error(NotFound) for a missing folder, Error(Usage) where the
// output is a folder that holds something else, Error(Io).
GalleryReport make_gallery(const GalleryRequest& request, Observer& observer);

// The files of a gallery's index, of which some may be the same clip; empty where there is no
// gallery. Throws Error(Input) for a damaged index.
std::vector<GalleryClip> read_index(const std::filesystem::path& gallery);
void write_index(const std::filesystem::path& gallery, const std::vector<GalleryClip>& clips);

}  // namespace sora
