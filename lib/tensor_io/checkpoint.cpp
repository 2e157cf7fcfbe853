// The names that diffusers and transformers give to weight files, and their shard index: a JSON
// object whose "weight_map" says for each tensor which file beside the index holds it.
#include "lib/tensor_io/checkpoint.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <span>
#include <string_view>
#include <system_error>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/tensor_io/gguf.h"
#include "lib/tensor_io/safetensors.h"
#include "lib/tensor_io/shard_index.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

// With a variant: "model.safetensors.index.fp16.json".
constexpr std::string_view kIndexMark = ".safetensors.index.";

// In the order in which the two libraries look for them.
constexpr std::string_view kWeightFiles[] = {
    "diffusion_pytorch_model.safetensors.index.json",
    "diffusion_pytorch_model.safetensors",
    "model.safetensors",
    "model.safetensors.index.json",
};

constexpr std::string_view kPickleSuffixes[] = {".bin", ".pt",  ".pth", ".ckpt",
                                                ".pkl", ".jit", ".pt2"};

bool is_among(std::span<const std::string_view> known, std::string_view name) {
  return std::find(known.begin(), known.end(), name) != known.end();
}

bool is_pickle(const fs::path& path) {
  return is_among(kPickleSuffixes, path.extension().string());
}

[[noreturn]] void refuse_pickle(const fs::path& path) {
  fail(ErrorKind::Input,
       "{}: is a torch pickle, which can run code when loaded; use the .safetensors file of the "
       "same model, or "
       "convert it with save_pretrained(..., safe_serialization=True)",
       path.string());
}

bool is_index(const fs::path& path) {
  return path.extension() == ".json" &&
         path.filename().string().find(kIndexMark) != std::string::npos;
}

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

// By content: a file's name is not always that of its format.
bool begins_with(const fs::path& path, std::string_view magic) {
  std::ifstream file(path, std::ios::binary);
  std::string bytes(magic.size(), '\0');
  return file.read(bytes.data(), static_cast<std::streamsize>(bytes.size())) && bytes == magic;
}

std::shared_ptr<const TensorFile> open_file(const fs::path& path) {
  if (is_pickle(path)) refuse_pickle(path);
  std::error_code error;
  if (fs::is_regular_file(path, error) && begins_with(path, kGgufMagic))
    return GgufFile::open(path);
  return SafetensorsFile::open(path);
}

// What ComfyUI and others put beside a quantised "X.weight": its scale, under an older and a newer
// name, and values that only matter where activations are quantised too.
constexpr std::string_view kScaleSuffixes[] = {".scale_weight", ".weight_scale"};
constexpr std::string_view kUnusedSuffixes[] = {".scale_input", ".input_scale", ".output_scale",
                                                ".scale_output"};
constexpr std::string_view kFormatSuffix = ".comfy_quant";  // U8, a JSON object
constexpr std::string_view kFormatsEntry = "_quantization_metadata";
constexpr std::string_view kOldMarker = "scaled_fp8";  // empty, its dtype the values' type
// Of that object: what is read and what only matters where activations are quantised. Anything else
// could mean that the values are another thing.
constexpr std::string_view kReadFields[] = {"format", "full_precision_matrix_mult", "params"};
constexpr std::string_view kReadFormats[] = {"float8_e4m3fn", "float8_e5m2", "int8_tensorwise",
                                             "int8_rowwise", "int8_blockwise"};

bool is_narrow(at::ScalarType dtype) {
  return dtype == at::kFloat8_e4m3fn || dtype == at::kFloat8_e5m2 || dtype == at::kChar;
}

// Whether a field says nothing: false, null, nothing in it.
bool is_off(const nlohmann::json& value) {
  return value.is_null() || value == false || (value.is_structured() && value.empty());
}

// `where`: the file and the tensor's name.
void check_quantisation_fields(const nlohmann::json& fields, const std::string& where) {
  for (const auto& [name, value] : fields.items()) {
    if (name == "params" && value.is_object()) {
      check_quantisation_fields(value, where);
    } else if (name.ends_with("group_size") || name.ends_with("groupsize")) {
      continue;  // the shape of the scale tells it
    } else if (!is_among(kReadFields, name) && !is_off(value)) {
      fail(ErrorKind::Input,
           "{} says {}: {}, which is not supported; take the weights in f8 or GGUF", where, name,
           to_text(value));
    }
  }
}

void check_quantisation(const nlohmann::json& json, const std::string& where) {
  const std::string format =
      json.is_object() && json.contains("format") && json["format"].is_string() ? json["format"]
                                                                                : "unnamed";
  if (!is_among(kReadFormats, format)) {
    fail(ErrorKind::Input, "{} says the format {}, which is not supported; supported are {}", where,
         format, fmt::join(kReadFormats, ", "));
  }
  check_quantisation_fields(json, where);
}

void check_quantisation(const at::Tensor& bytes, const std::string& where) {
  const at::Tensor flat = bytes.contiguous();
  const std::string_view text(static_cast<const char*>(flat.const_data_ptr()), flat.nbytes());
  check_quantisation(parse_json(text, where), where);
}

// The same object a layer, for all of a file, in its metadata.
void check_quantisation(const TensorFile& file) {
  const auto found = file.metadata().find(std::string(kFormatsEntry));
  if (found == file.metadata().end()) return;
  const std::string where = file.path().string() + ": " + found->first;
  const nlohmann::json json = parse_json(found->second, where);
  if (!json.is_object() || !json.contains("layers") || !json["layers"].is_object()) return;
  for (const auto& [layer, fields] : json["layers"].items())
    check_quantisation(fields, where + ": " + layer);
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
  const ShardIndex index = parse_shard_index(read_file(index_path), index_path.string());
  std::set<std::string> names;
  for (const auto& [tensor, name] : index) names.insert(name);

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
  for (const auto& [tensor, name] : index) {
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
  result.take_scales();
  return result;
}

const TensorInfo& Checkpoint::info_of(const Entry& entry) const {
  return entry.file->tensors()[entry.position];
}

// Takes the markers of quantisation out of the index, so that what is left are the model's tensors.
void Checkpoint::take_scales() {
  const auto drop = [&](const std::string& name) { index_.erase(name); };
  for (const auto& file : files_) check_quantisation(*file);
  for (const std::string& name : names()) {
    const TensorInfo& marker = info_of(index_.at(name));
    const size_t dot = name.rfind('.');
    const std::string last = name.substr(dot == std::string::npos ? 0 : dot + 1);
    if (last == kOldMarker) {
      drop(name);
      continue;
    }
    const std::string suffix = dot == std::string::npos ? "" : name.substr(dot);
    const std::string weight = name.substr(0, name.size() - suffix.size()) + ".weight";
    if (suffix == kFormatSuffix) {
      check_quantisation(get(name), description_ + ": " + name);
      drop(name);
    } else if (is_among(kUnusedSuffixes, suffix)) {
      drop(name);
    } else if (is_among(kScaleSuffixes, suffix)) {
      const auto found = index_.find(weight);
      if (found == index_.end()) continue;
      const TensorInfo& values = info_of(found->second);
      if (!is_narrow(values.dtype)) {  // files where some layers were left as they were
        drop(name);
        continue;
      }
      if (values.shape.size() != 2 || !at::isFloatingType(marker.dtype) ||
          !is_scale_of(marker.shape, values.shape[0], values.shape[1])) {
        fail(ErrorKind::Input, "{}: {} has shape [{}], which is no scale of {} [{}]", description_,
             name, fmt::join(marker.shape, ", "), weight, fmt::join(values.shape, ", "));
      }
      scales_.emplace(weight, index_.at(name));
      drop(name);
    }
  }
}

void Checkpoint::forget_pages(const std::string& prefix) const {
  for (const auto& [name, entry] : index_) {
    if (name.starts_with(prefix)) entry.file->forget_pages(info_of(entry).name);
  }
}

std::shared_ptr<const PackedMatrix> Checkpoint::packed(const std::string& name) const {
  const TensorInfo& tensor = info(name);
  if (tensor.blocks) {
    // A row of whole blocks; a tensor reshaped since it was packed is one long row.
    const int64_t last = tensor.shape.empty() ? 1 : tensor.shape.back();
    const int64_t columns =
        last > 0 && last % tensor.blocks->num_values == 0 ? last : tensor.num_values();
    const int64_t rows = columns > 0 ? tensor.num_values() / columns : 0;
    return std::make_shared<PackedMatrix>(get(name), *tensor.blocks, rows, columns);
  }
  const auto scale = scales_.find(name);
  if (scale != scales_.end()) {
    const TensorFile& file = *scale->second.file;
    return std::make_shared<PackedMatrix>(get(name), file.get(info_of(scale->second).name));
  }
  if (tensor.shape.size() == 2 && is_narrow(tensor.dtype) && tensor.dtype != at::kChar)
    return std::make_shared<PackedMatrix>(get(name), at::Tensor());
  return nullptr;
}

Checkpoint Checkpoint::renamed(const std::function<std::string(const std::string&)>& rename) const {
  Checkpoint result = *this;
  result.index_.clear();
  for (const auto& [name, entry] : index_) {
    const std::string new_name = rename(name);
    if (new_name.empty()) continue;
    if (!result.index_.emplace(new_name, entry).second) {
      fail(ErrorKind::Input, "{}: holds two tensors that mean \"{}\", one of them \"{}\"",
           description_, new_name, name);
    }
  }
  result.scales_.clear();
  for (const auto& [name, entry] : scales_) {
    const std::string new_name = rename(name);
    if (!new_name.empty()) result.scales_.emplace(new_name, entry);
  }
  return result;
}

Checkpoint Checkpoint::with(const Checkpoint& other) const {
  Checkpoint result = *this;
  result.description_ = fmt::format("{} with {}", description_, other.description_);
  result.files_.insert(result.files_.end(), other.files_.begin(), other.files_.end());
  for (const auto& [name, entry] : other.index_) {
    if (!result.index_.emplace(name, entry).second) {
      fail(ErrorKind::Input, "{}: holds tensor \"{}\", which is also in {}", other.description_,
           name, description_);
    }
  }
  result.scales_.insert(other.scales_.begin(), other.scales_.end());
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
  const TensorFile& file = *found->second.file;
  return file.get(file.tensors()[found->second.position].name);
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
  for (const auto& [name, entry] : index_) total += info_of(entry).num_bytes();
  return total;
}

}  // namespace sora
