// gallery:ID in place of a file: the clip is looked up in the galleries made on this machine.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "lib/gallery/gallery.h"
#include "lib/pipelines/request.h"

namespace sora {

// $XDG_DATA_HOME/sora or ~/.local/share/sora; empty where neither is set.
std::filesystem::path user_data_folder();

// Where imported clips go: user_data_folder()/library.
std::filesystem::path local_library();

// Remembers a gallery's folder for find_in_galleries(); a list that cannot be written is no error.
void register_gallery(const std::filesystem::path& gallery);
std::vector<std::filesystem::path> registered_galleries();  // the last made first

// A clip as a gallery knows it.
struct FoundClip {
  GalleryClip clip;
  std::filesystem::path gallery;
  std::filesystem::path file;  // where it was found if it is still there, else the gallery's own
};

// The clip whose SHA-256 begins so, at least 4 digits. Throws Error(NotFound) where no gallery has
// it, Error(Usage) where several clips begin with it.
FoundClip find_in_galleries(const std::string& id);

// `text` itself unless it begins with "gallery:"; then the clip's file. The ID may be cut short
// where it stays unique. Throws Error(NotFound) where no gallery has it, Error(Usage) where several
// clips begin with it.
std::string resolve_gallery_id(const std::string& text);

// Every file of the operation that is such a name, with its path instead; texts stay as they are.
Request resolve_gallery_ids(const Request& request);

}  // namespace sora
