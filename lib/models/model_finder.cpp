#include "lib/models/model_finder.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <optional>

#include "lib/core/ascii.h"
#include "lib/core/error.h"
#include "lib/models/comfy_folders.h"
#include "lib/models/expert_names.h"
#include "lib/models/wan/names.h"
#include "lib/models/wan/parts.h"
#include "lib/tensor_io/hub_cache.h"
#include "lib/tensor_io/model_part.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

// ComfyUI's folders of a transformer's companions (folder_paths.py), the older names behind the
// newer.
const std::vector<const char*> kVaeFolders = {"vae"};
const std::vector<const char*> kTextEncoderFolders = {"text_encoders", "clip"};
const std::vector<const char*> kImageEncoderFolders = {"clip_vision"};

// Models whose tokenizer is that of every Wan model.
constexpr const char* kTokenizerModels[] = {
    "Wan-AI/Wan2.1-T2V-1.3B-Diffusers", "Wan-AI/Wan2.1-T2V-14B-Diffusers",
    "Wan-AI/Wan2.2-TI2V-5B-Diffusers",  "Wan-AI/Wan2.2-T2V-A14B-Diffusers",
    "Wan-AI/Wan2.2-I2V-A14B-Diffusers", "google/umt5-xxl"};

// What a part's file is called where shapes do not tell it from those of other models.
struct PartNames {
  std::string_view own;      // in names that come before others; empty: none do
  std::string_view foreign;  // in names of files that are passed over; empty: none are
};

// Where a part may lie, in the order in which it is looked for: files first, folders after them.
class Search {
 public:
  Search(const fs::path& transformer, const ModelFiles& files)
      : transformer_(transformer), roots_(comfy_roots(transformer, files)) {}

  using Fits = std::function<bool(const Checkpoint&)>;

  // The first file that holds the part and whose shapes fit.
  std::optional<fs::path> find(const std::vector<const char*>& folders, const PartNames& names,
                               const Fits& fits) const {
    if (fs::is_regular_file(transformer_) && fits(Checkpoint::open(transformer_)))
      return transformer_;
    for (const fs::path& folder : places(folders)) {
      for (const fs::path& file : files_in_(folder, names)) {
        if (does_fit(file, fits)) return file;
      }
    }
    return std::nullopt;
  }

  std::vector<fs::path> places(const std::vector<const char*>& folders) const {
    std::vector<fs::path> places;
    for (const fs::path& root : roots_) {
      for (const char* folder : folders) places.push_back(root / folder);
    }
    if (fs::is_directory(transformer_)) places.push_back(transformer_);
    places.push_back(beside_());
    return places;
  }

 private:
  std::vector<fs::path> files_in_(const fs::path& folder, const PartNames& names) const {
    const bool beside = folder == beside_() || folder == transformer_;
    std::vector<fs::path> files = weight_files(folder, !beside);
    const auto says = [&](const fs::path& file, std::string_view word) {
      return ascii_lower(file.lexically_relative(folder).string()).find(word) != std::string::npos;
    };
    if (!names.foreign.empty())
      std::erase_if(files, [&](const fs::path& file) { return says(file, names.foreign); });
    std::stable_partition(files.begin(), files.end(),
                          [&](const fs::path& file) { return says(file, names.own); });
    return files;
  }

  fs::path beside_() const { return fs::absolute(transformer_).parent_path(); }

  // A file that cannot be read is no candidate; named by the user it would be an error.
  static bool does_fit(const fs::path& file, const Fits& fits) {
    try {
      return fits(Checkpoint::open(file));
    } catch (const Error&) {
      return false;
    }
  }

  fs::path transformer_;
  std::vector<fs::path> roots_;
};

std::string listed(const std::vector<fs::path>& places) {
  std::vector<std::string> names;
  for (const fs::path& place : places) names.push_back(place.string());
  return fmt::format("{}", fmt::join(names, ", "));
}

// A part named by the user, or the first that fits.
struct PartQuery {
  const char* title;
  const char* option;
  const ModelPart& part;
  const std::vector<const char*>& folders;
  std::string named;  // by the user
  PartNames names{};
};

fs::path find_part_file(const PartQuery& query, const Search& search, const Search::Fits& fits,
                        const fs::path& transformer, std::vector<std::string>& notices) {
  if (!query.named.empty()) {
    if (!fs::exists(query.named)) {
      fail(ErrorKind::NotFound, "{} {}: there is no such file", query.option, query.named);
    }
    return query.named;
  }
  const auto found = search.find(query.folders, query.names, [&](const Checkpoint& checkpoint) {
    return find_part(checkpoint, query.part).has_value() && fits(checkpoint);
  });
  if (!found) {
    fail(ErrorKind::NotFound,
         "{}: is a transformer, and the {} that belongs to it is neither in it nor in {}; give it "
         "with {} FILE",
         transformer.string(), query.title, listed(search.places(query.folders)), query.option);
  }
  if (*found != transformer) notices.push_back(fmt::format("{}: {}", query.title, found->string()));
  return *found;
}

// Of the model's latent channels, and with as many channels of frames behind the decoder as before
// the encoder: one that enlarges has more.
bool is_vae_of(const WanTransformerConfig& wan, const Checkpoint& vae) {
  const auto side = [&](const char* name, size_t axis) {
    const std::vector<int64_t>& shape = vae.info(name).shape;
    return axis < shape.size() ? shape[axis] : -1;
  };
  return side("post_quant_conv.weight", 0) == wan.out_channels &&
         side("decoder.conv_out.weight", 0) == side("encoder.conv_in.weight", 1);
}

void find_experts(const fs::path& transformer, const ModelFiles& files, ModelPaths& parts,
                  std::vector<std::string>& notices) {
  parts.transformer = transformer;
  if (!files.transformer_2.empty()) {
    if (!fs::exists(files.transformer_2)) {
      fail(ErrorKind::NotFound, "--low-noise {}: there is no such file", files.transformer_2);
    }
    parts.transformer_2 = files.transformer_2;
    return;
  }
  const std::string name = ascii_lower(transformer.filename().string());
  if (name.find("high") != std::string::npos) {
    parts.transformer_2 = other_expert(transformer, "high", "low");
    if (parts.transformer_2.empty() && !says_noise(name, "high")) return;
    if (parts.transformer_2.empty()) {
      fail(ErrorKind::NotFound,
           "{}: is by its name the high-noise expert of two, and {} is not there; give the other "
           "with --low-noise FILE",
           transformer.string(), swap_expert(transformer.filename().string(), "high", "low"));
    }
    notices.push_back(fmt::format("low-noise expert: {}", parts.transformer_2.string()));
  } else if (name.find("low") != std::string::npos) {
    const fs::path high = other_expert(transformer, "low", "high");
    if (high.empty()) return;
    parts.transformer = high;
    parts.transformer_2 = transformer;
    notices.push_back(fmt::format("high-noise expert: {}", high.string()));
  }
}

// ORG/NAME[@REVISION]/FILE, a single file of a repository; empty where the name is none.
std::optional<fs::path> find_hub_file(const std::string& name) {
  const auto hub_file = parse_hub_file_name(name);
  if (!hub_file) return std::nullopt;
  const fs::path inside = hub_file->file;
  const bool stays =
      std::none_of(inside.begin(), inside.end(), [](const fs::path& part) { return part == ".."; });
  if (!stays || inside.is_absolute()) return std::nullopt;
  const fs::path file = find_in_hub_cache(hub_file->repository) / inside;
  if (fs::exists(file)) return file;
  fail(ErrorKind::NotFound, "{}: is not in the snapshot of {} in the Hugging Face cache",
       inside.string(), hub_file->repository.repository);
}

// A completed name of a directory ends in a slash, behind which filename() is empty.
fs::path without_slash(const fs::path& path) {
  return path.has_filename() ? path : path.parent_path();
}

}  // namespace

fs::path find_tokenizer(const ModelFiles& files, const fs::path& text_encoder,
                        std::vector<std::string>& notices) {
  if (!files.tokenizer.empty()) {
    if (!fs::exists(files.tokenizer)) {
      fail(ErrorKind::NotFound, "--tokenizer {}: there is no such file or directory",
           files.tokenizer);
    }
    return files.tokenizer;
  }
  const fs::path beside = fs::absolute(text_encoder).parent_path();
  const auto has_files = [](const fs::path& folder) {
    return fs::exists(folder / "tokenizer.json") || fs::exists(folder / "spiece.model");
  };
  const Checkpoint encoder = Checkpoint::open(text_encoder);
  if (holds_tokenizer(encoder)) return text_encoder;
  for (const fs::path& folder : {beside, beside / "tokenizer", beside.parent_path() / "tokenizer",
                                 beside / "umt5-xxl", beside / "google" / "umt5-xxl"}) {
    if (has_files(folder)) return folder;
  }
  for (const char* name : kTokenizerModels) {
    try {
      const fs::path snapshot = find_in_hub_cache(*parse_hub_name(name));
      const fs::path folder = has_files(snapshot) ? snapshot : snapshot / "tokenizer";
      if (!has_files(folder)) continue;
      notices.push_back(fmt::format("tokenizer: {}", folder.string()));
      return folder;
    } catch (const Error&) {
      // Not in the cache.
    }
  }
  fail(ErrorKind::NotFound,
       "{}: holds no tokenizer, and there is none beside it or in the Hugging Face cache; give one "
       "with --tokenizer, a spiece.model or a directory with tokenizer.json (that of "
       "google/umt5-xxl)",
       text_encoder.string());
}

fs::path find_model(const std::string& name, const fs::path& built_in, const ModelFiles& files) {
  if (!files.models_dir.empty() && !fs::is_directory(files.models_dir)) {
    fail(ErrorKind::NotFound, "--models-dir {}: there is no such directory", files.models_dir);
  }
  if (name.find('/') == std::string::npos && fs::exists(built_in / name / "model_index.json")) {
    return built_in / name;
  }
  if (!files.models_dir.empty()) {
    if (const auto file = find_transformer_file(name, files.models_dir)) return *file;
    if (fs::exists(fs::path(files.models_dir) / name))
      return without_slash(fs::path(files.models_dir) / name);
  }
  if (fs::exists(name)) return without_slash(name);
  if (const auto hub_name = parse_hub_name(name)) return find_in_hub_cache(*hub_name);
  if (const auto file = find_hub_file(name)) return without_slash(*file);
  fail(
      ErrorKind::NotFound,
      "there is no model '{}': neither built in (looked in {}) nor a directory or file{}; see sora "
      "models list",
      name, built_in.string(),
      files.models_dir.empty() ? "" : fmt::format(", nor in {}", files.models_dir));
}

ModelPaths find_companions(const fs::path& transformer, const ModelFiles& files,
                           std::vector<std::string>& notices) {
  ModelPaths parts;
  find_experts(transformer, files, parts, notices);
  const Search search(parts.transformer, files);

  const auto wan =
      WanTransformerConfig::from_config(read_config(WanPart::Transformer, parts.transformer));
  find_control(files, parts.transformer, parts, notices);
  parts.vae = find_part_file(
      {"VAE", "--vae", kWanVaePart, kVaeFolders, files.vae, {.own = "wan", .foreign = "qwen"}},
      search,
      [&](const Checkpoint& checkpoint) { return is_vae_of(wan, with_vae_names(checkpoint)); },
      transformer, notices);
  parts.text_encoder = find_part_file(
      {"text encoder", "--text-encoder", kUmt5Part, kTextEncoderFolders, files.text_encoder},
      search,
      [&](const Checkpoint& checkpoint) {
        return !is_plain_t5(checkpoint) && umt5_width(checkpoint) == wan.text_dim;
      },
      transformer, notices);
  parts.tokenizer = find_tokenizer(files, parts.text_encoder, notices);
  if (wan.image_dim) {
    parts.image_encoder = find_part_file(
        {"image encoder", "--image-encoder", kClipVisionPart, kImageEncoderFolders,
         files.image_encoder},
        search,
        [&](const Checkpoint& checkpoint) {
          const auto& shape =
              with_image_encoder_names(checkpoint).info("embeddings.class_embedding").shape;
          return !shape.empty() && shape[0] == *wan.image_dim;
        },
        transformer, notices);
  }
  return parts;
}

void find_control(const ModelFiles& files, const fs::path& model, ModelPaths& parts,
                  std::vector<std::string>& notices) {
  if (files.vace.empty()) return;
  std::optional<fs::path> named;
  if (fs::exists(files.vace)) named = files.vace;
  for (const fs::path& root : comfy_roots(model, files)) {
    if (!named) named = find_transformer_file(files.vace, root);
  }
  if (!named) named = find_hub_file(files.vace);
  if (!named) fail(ErrorKind::NotFound, "--vace {}: there is no such file", files.vace);
  if (!fs::is_regular_file(*named))
    fail(ErrorKind::Input, "--vace {}: is no file; a VACE module is one", named->string());
  parts.control = *named;
  if (parts.transformer_2.empty()) return;

  parts.control_2 = *named;
  const std::string name = ascii_lower(named->filename().string());
  const bool is_high = name.find("high") != std::string::npos;
  if (!is_high && name.find("low") == std::string::npos) return;
  const char* from = is_high ? "high" : "low";
  const char* to = is_high ? "low" : "high";
  const fs::path other = other_expert(*named, from, to);
  if (other.empty()) {
    fail(ErrorKind::NotFound,
         "{}: is by its name the VACE module of the {}-noise expert of two, and {} is not there",
         named->string(), from, swap_expert(named->filename().string(), from, to));
  }
  (is_high ? parts.control_2 : parts.control) = other;
  notices.push_back(fmt::format("VACE module of the {}-noise expert: {}", to, other.string()));
}

}  // namespace sora
