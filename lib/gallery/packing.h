// The form of an archive: which entries it may have, and the list of them, with digests, that it
// begins with.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "lib/gallery/archive.h"

namespace sora {

inline constexpr const char* kContentsName = "sora.json";
inline constexpr const char* kRecipeName = "recipe.json";
inline constexpr int kArchiveSchema = 1;

enum class ArchiveKind { Clip, Presets };
std::string_view to_string(ArchiveKind kind);  // "clip", "presets"

// Where an entry goes below the folder that an archive is unpacked into:
//   sora.json            sora.json          the list of all others
//   clip.EXT             clip.EXT           the clip itself
//   recipe.json          recipe.json        its manifest
//   storyboard/NAME      .storyboard/NAME   board.json, pictures and clips of its cards
//   sources/SHA256.webp  .sources/...       thumbnails of sources
//   presets/NAME.yaml    presets/NAME.yaml
// Throws Error(Input) for any other name.
ArchivePlace place_in_archive(const std::string& archive, const std::string& name);

// A name that a preset may have in an archive: letters, digits, - and _ of ASCII.
bool is_preset_name(std::string_view name);
// The file's name, of safe characters of ASCII, at most 120 bytes.
std::string safe_file_name(std::string_view name);
bool is_clip_extension(std::string_view extension);  // ".mp4"

// Collects entries, then writes the archive with its list in front.
class Packer {
 public:
  explicit Packer(ArchiveKind kind) : kind_(kind) {}
  void add(const std::string& name, std::string bytes);
  void add_file(const std::string& name, const std::filesystem::path& path);
  // `facts` go into the list too. Throws Error(Usage) for a file that is there, without `force`.
  void write(const std::filesystem::path& output, const nlohmann::json& facts, bool force) const;

 private:
  struct Entry {
    std::string name;
    std::string bytes;
    std::filesystem::path path;  // instead of bytes
  };
  ArchiveKind kind_;
  std::vector<Entry> entries_;
};

// Unpacks an archive into an empty folder and compares all of it with its list. The list. Throws
// Error(Input).
nlohmann::json unpack_checked(const std::filesystem::path& archive,
                              const std::filesystem::path& folder, ArchiveKind kind);

}  // namespace sora
