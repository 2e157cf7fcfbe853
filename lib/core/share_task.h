// What is asked when clips and presets are passed on: an archive is packed or taken in.
#pragma once

#include <string>
#include <variant>

namespace sora {

// A clip of a gallery, or a clip's file, with all that is known of its making.
struct ExportClip {
  std::string clip;    // gallery:ID, an ID, or a path
  std::string output;  // "x.sora"; empty: named after the clip, in the current folder
  bool force = false;  // replace a file that is there
};

struct ImportClip {
  std::string archive;
  std::string library;  // folder that takes it; empty: the user's own
};

struct ExportPreset {
  std::string name;
  std::string output;
  bool force = false;
};

struct ImportPresets {
  std::string archive;
  bool force = false;  // replace presets of the same name
};

using ShareTask = std::variant<ExportClip, ImportClip, ExportPreset, ImportPresets>;

}  // namespace sora
