#include "lib/hub/verify.h"

#include <algorithm>
#include <string>
#include <vector>

#include "lib/provenance/digest.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

bool is_digest(const std::string& name, size_t digits) {
  return name.size() == digits && name.find_first_not_of("0123456789abcdef") == std::string::npos;
}

std::vector<fs::path> files_below(const fs::path& model) {
  if (!fs::is_directory(model)) return {model};
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(model)) {
    const bool leads_nowhere = entry.is_symlink() && !entry.exists();
    if (entry.is_regular_file() || leads_nowhere) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

nlohmann::json verify_files(const fs::path& model, const Observer& observer) {
  nlohmann::json list = nlohmann::json::array();
  bool ok = true;
  for (const fs::path& file : files_below(model)) {
    const fs::path shown =
        fs::is_directory(model) ? file.lexically_relative(model) : file.filename();
    if (!fs::exists(file)) {
      ok = false;
      list.push_back({{"path", shown.string()}, {"sha256", nullptr}, {"state", "missing"}});
      continue;
    }
    const fs::path target = fs::canonical(file);
    const std::string blob =
        target.parent_path().filename() == "blobs" ? target.filename().string() : "";
    const std::string sha256 = sha256_of_file(target, observer);
    const char* state = "unnamed";
    if (is_digest(blob, 64)) state = blob == sha256 ? "ok" : "damaged";
    if (is_digest(blob, 40)) state = blob == git_sha1_of_file(target, observer) ? "ok" : "damaged";
    ok = ok && std::string_view(state) != "damaged";
    list.push_back({{"path", shown.string()}, {"sha256", sha256}, {"state", state}});
    if (std::string_view(state) == "damaged") list.back()["blob"] = target.string();
  }
  return {{"model", model.string()}, {"files", list}, {"ok", ok}};
}

}  // namespace sora
