// The names that diffusers and transformers give to weight files, and their shard index: a JSON
// object whose "weight_map" says for each tensor which file beside the index holds it.
#include "lib/tensor_io/checkpoint.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <string_view>
#include <system_error>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/tensor_io/safetensors.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kIndexSuffix = ".safetensors.index.json";

// In the order in which the two libraries look for them.
constexpr std::string_view kWeightFiles[] = {
    "diffusion_pytorch_model.safetensors.index.json",
    "diffusion_pytorch_model.safetensors",
    "model.safetensors",
    "model.safetensors.index.json",
};

constexpr std::string_view kPickleSuffixes[] = {".bin", ".pt",  ".pth", ".ckpt",
                                                ".pkl", ".jit", ".pt2"};

bool is_pickle(const fs::path& path) {
  return std::find(std::begin(kPickleSuffixes), std::end(kPickleSuffixes),
                   path.extension().string()) != std::end(kPickleSuffixes);
}

[[noreturn]] void refuse_pickle(const fs::path& path) {
  fail(ErrorKind::Input,
       "{}: is a torch pickle, which can run code when loaded; use the .safetensors file of the "
       "same model, or "
       "convert it with save_pretrained(..., safe_serialization=True)",
       path.string());
}

bool is_index(const fs::path& path) { return path.string().ends_with(kIndexSuffix); }

// A shard must lie in the index's own directory; in the Hugging Face cache, where a file of
// models--ORG--NAME/snapshots/COMMIT is a link, it may lie in that model's blobs.
bool is_shard_inside(const fs::path& shard, const fs::path& directory) {
  std::error_code error;
  const fs::path target = fs::canonical(shard, error);
  if (error) return false;
  const fs::path home = fs::canonical(directory, error);
  if (error) return false;
  if (target.parent_path() == home) return true;
  for (fs::path at = home; at.has_relative_path(); at = at.parent_path()) {
    const fs::path model = at.parent_path();
    if (at.filename() == "snapshots" && model.filename().string().starts_with("models--")) {
      return target.parent_path() == model / "blobs";
    }
  }
  return false;
}

std::shared_ptr<const TensorFile> open_file(const fs::path& path) {
  if (is_pickle(path)) refuse_pickle(path);
  return SafetensorsFile::open(path);
}

// The files of one directory whose name is STEM.VARIANT.safetensors, as
// save_pretrained(variant="fp16") writes them.
std::vector<fs::path> variants(const fs::path& directory) {
  std::vector<fs::path> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const std::string name = entry.path().filename().string();
    const bool known_stem =
        name.starts_with("diffusion_pytorch_model.") || name.starts_with("model.");
    if (known_stem && (name.ends_with(".safetensors") || is_index(name)) &&
        name.find("-of-") == std::string::npos) {
      found.push_back(entry.path());
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

fs::path weights_of(const fs::path& directory) {
  for (const std::string_view name : kWeightFiles) {
    if (fs::exists(directory / name)) return directory / name;
  }
  const std::vector<fs::path> found = variants(directory);
  if (found.size() == 1) return found.front();
  if (found.size() > 1) {
    fail(ErrorKind::Input,
         "{}: holds {} weight files of which none is the plain one (for instance {} and {}); name "
         "the file itself",
         directory.string(), found.size(), found[0].filename().string(),
         found[1].filename().string());
  }
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    if (is_pickle(entry.path())) refuse_pickle(entry.path());
  }
  fail(ErrorKind::NotFound,
       "{}: has no weight file; expected diffusion_pytorch_model.safetensors, model.safetensors, "
       "or one of them with an index of shards",
       directory.string());
}

Checkpoint open_shards(const fs::path& index_path) {
  const fs::path directory = index_path.has_parent_path() ? index_path.parent_path() : ".";
  const nlohmann::json index = read_json_file(index_path);
  const auto map = index.is_object() ? index.find("weight_map") : index.end();
  if (map == index.end() || !map->is_object() || map->empty()) {
    fail(ErrorKind::Input, "{}: has no \"weight_map\" object with tensors", index_path.string());
  }
  std::set<std::string> names;
  for (const auto& [tensor, file] : map->items()) {
    const std::string name = file.is_string() ? file.get<std::string>() : "";
    if (name.empty() || name == "." || name == ".." ||
        name.find_first_of(std::string("/\\\0", 3)) != std::string::npos) {
      fail(ErrorKind::Input,
           "{}: weight_map of \"{}\" is {}, expected the plain name of a file beside the index",
           index_path.string(), tensor,
           file.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
    }
    names.insert(name);
  }

  std::vector<std::string> missing;
  for (const std::string& name : names) {
    if (!fs::exists(directory / name)) missing.push_back(name);
  }
  if (!missing.empty()) {
    const size_t count = missing.size();
    missing.resize(std::min<size_t>(count, 3));
    fail(ErrorKind::NotFound, "{}: {} of {} shards are missing: {}{}; download the model again",
         directory.string(), count, names.size(), fmt::join(missing, ", "),
         count > 3 ? ", ..." : "");
  }

  std::vector<std::shared_ptr<const TensorFile>> files;
  std::map<std::string, const TensorFile*> by_name;
  for (const std::string& name : names) {
    if (!is_shard_inside(directory / name, directory)) {
      fail(ErrorKind::Input, "{}: shard {} is a link that leads out of the model's directory",
           index_path.string(), name);
    }
    files.push_back(open_file(directory / name));
    by_name[name] = files.back().get();
  }
  std::set<std::pair<const TensorFile*, std::string_view>> held;
  for (const auto& file : files) {
    for (const TensorInfo& info : file->tensors()) held.emplace(file.get(), info.name);
  }
  for (const auto& [tensor, file] : map->items()) {
    const std::string name = file.get<std::string>();
    if (!held.contains({by_name[name], tensor})) {
      fail(ErrorKind::Input, "{}: says that {} holds tensor \"{}\", which it does not",
           index_path.string(), name, tensor);
    }
  }
  return Checkpoint(std::move(files));
}

}  // namespace

Checkpoint::Checkpoint(std::vector<std::shared_ptr<const TensorFile>> files)
    : files_(std::move(files)) {
  for (const auto& file : files_) {
    for (size_t position = 0; position < file->tensors().size(); ++position) {
      const std::string& name = file->tensors()[position].name;
      const auto [other, is_new] = index_.emplace(name, Entry{file, position});
      if (!is_new) {
        fail(ErrorKind::Input, "{}: holds tensor \"{}\", which is also in {}",
             file->path().string(), name, other->second.file->path().string());
      }
    }
  }
  if (!files_.empty()) description_ = files_.front()->path().string();
}

Checkpoint Checkpoint::open(const fs::path& path) {
  std::error_code error;
  const fs::path file = fs::is_directory(path, error) ? weights_of(path) : path;
  Checkpoint result = is_index(file) ? open_shards(file) : Checkpoint({open_file(file)});
  result.description_ = file.string();
  return result;
}

const TensorInfo& Checkpoint::info(const std::string& name) const {
  const auto found = index_.find(name);
  if (found == index_.end()) fail(ErrorKind::Input, "{}: has no tensor \"{}\"", description_, name);
  return found->second.file->tensors()[found->second.position];
}

at::Tensor Checkpoint::get(const std::string& name) const {
  const auto found = index_.find(name);
  if (found == index_.end()) fail(ErrorKind::Input, "{}: has no tensor \"{}\"", description_, name);
  return found->second.file->get(name);
}

std::vector<std::string> Checkpoint::names() const {
  std::vector<std::string> result;
  result.reserve(index_.size());
  for (const auto& [name, entry] : index_) result.push_back(name);
  std::sort(result.begin(), result.end());
  return result;
}

int64_t Checkpoint::num_bytes() const {
  int64_t total = 0;
  for (const auto& file : files_) {
    for (const TensorInfo& info : file->tensors()) {
      int64_t size = static_cast<int64_t>(c10::elementSize(info.dtype));
      for (const int64_t extent : info.shape) size *= extent;
      total += size;
    }
  }
  return total;
}

}  // namespace sora
