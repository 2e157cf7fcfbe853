// Presets alone in an archive.
#include <fmt/format.h>

#include <cstdlib>

#include "lib/core/error.h"
#include "lib/gallery/html.h"
#include "lib/gallery/install_presets.h"
#include "lib/gallery/packing.h"
#include "lib/gallery/share.h"
#include "lib/pipelines/presets.h"

namespace sora {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

}  // namespace

json export_preset(const ExportPreset& task, const PresetFolders& folders) {
  for (const Preset& preset : list_presets(folders.built_in, folders.own)) {
    if (preset.name != task.name) continue;
    if (!is_preset_name(preset.name)) {
      fail(
          ErrorKind::Usage,
          "the preset {} cannot be passed on under its name; letters, digits, - and _ of ASCII can",
          preset.name);
    }
    Packer packer(ArchiveKind::Presets);
    packer.add_file("presets/" + preset.name + ".yaml", preset.path);
    const std::string output = task.output.empty() ? preset.name + ".sora" : task.output;
    packer.write(output, json::object(), task.force);
    return {{"path", output}, {"name", preset.name}};
  }
  fail(ErrorKind::NotFound, "there is no preset '{}'; sora presets lists them", task.name);
}

json import_presets(const ImportPresets& task, const PresetFolders& folders, Observer& observer) {
  std::error_code ignored;
  if (!fs::exists(task.archive, ignored))
    fail(ErrorKind::NotFound, "there is no file {}", task.archive);
  std::string staging = (fs::temp_directory_path() / "sora-presets-XXXXXX").string();
  if (mkdtemp(staging.data()) == nullptr)
    fail(ErrorKind::Io, "no folder can be made below {}", fs::temp_directory_path().string());
  const auto import_all = [&] {
    try {
      unpack_checked(task.archive, staging, ArchiveKind::Presets);
      for (const auto& entry : fs::directory_iterator(staging)) {
        if (entry.path().filename() != "presets" && entry.path().filename() != kContentsName) {
          fail(ErrorKind::Input, "{} holds more than presets: {}", task.archive,
               entry.path().filename().string());
        }
      }
      check_presets(fs::path(staging) / "presets");
    } catch (const Error& error) {
      throw Error(error.kind() == ErrorKind::NotFound ? ErrorKind::Input : error.kind(),
                  visible_text(error.what()));
    }
    return install_presets(fs::path(staging) / "presets", folders, task.force, observer);
  };
  try {
    const std::vector<std::string> installed = import_all();
    fs::remove_all(staging, ignored);
    return {{"path", installed.empty() ? nlohmann::json() : nlohmann::json(folders.own.string())},
            {"presets", installed}};
  } catch (...) {
    fs::remove_all(staging, ignored);
    throw;
  }
}

}  // namespace sora
