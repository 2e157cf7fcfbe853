#include "lib/model_convert.h"

#include <ATen/ATen.h>

#include <filesystem>
#include <functional>
#include <optional>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/models/model_finder.h"
#include "lib/models/wan/names.h"
#include "lib/models/wan/parts.h"
#include "lib/tensor_io/atomic_file.h"
#include "lib/tensor_io/model_part.h"
#include "lib/tensor_io/shard_index.h"
#include "lib/tensor_io/tensor_source.h"
#include "lib/text/gguf_tokenizer.h"
#include "lib/text/umt5_names.h"

namespace sora {
namespace {

namespace fs = std::filesystem;

enum class PartKind { Transformer, Control, TextEncoder, Other };

// A part as it is read: names and config of diffusers or transformers. The config of a control
// branch may be null.
struct LoadedPart {
  fs::path path;
  PartKind kind;
  nlohmann::json config;
  std::shared_ptr<const Checkpoint> weights;
};

LoadedPart load_wan_part(WanPart part, const fs::path& path) {
  const PartKind kind = part == WanPart::Transformer ? PartKind::Transformer : PartKind::Other;
  return {path, kind, read_config(part, path).object(), open_weights(part, path)};
}

LoadedPart load_control(const fs::path& path) {
  ControlPart control = open_control(path);
  return {path, PartKind::Control, control.config,
          std::make_shared<Checkpoint>(std::move(control.weights))};
}

LoadedPart load_text_encoder(const fs::path& path) {
  const Checkpoint stored = Checkpoint::open(path);
  if (fs::is_directory(path)) {
    return {path, PartKind::TextEncoder, ConfigReader::open(path / "config.json").object(),
            std::make_shared<Checkpoint>(stored)};
  }
  const auto weights = std::make_shared<Checkpoint>(with_umt5_names(stored));
  return {path, PartKind::TextEncoder, umt5_config_from_shapes(*weights), weights};
}

LoadedPart load_part(const fs::path& input) {
  const bool is_model = fs::exists(input / "model_index.json");
  if (is_model && fs::exists(input / "transformer_2")) {
    fail(ErrorKind::Usage, "{}: has two experts, which are converted one by one: name {} or {}",
         input.string(), (input / "transformer").string(), (input / "transformer_2").string());
  }
  const fs::path path = is_model ? input / "transformer" : input;
  if (!fs::exists(path))
    fail(ErrorKind::NotFound, "{}: there is no such file or directory", path.string());
  const Checkpoint checkpoint = Checkpoint::open(path);
  if (find_part(checkpoint, kWanTransformerPart)) return load_wan_part(WanPart::Transformer, path);
  if (find_part(checkpoint, kWanControlPart)) return load_control(path);
  if (find_part(checkpoint, kWanVaePart)) return load_wan_part(WanPart::Vae, path);
  if (find_part(checkpoint, kClipVisionPart)) return load_wan_part(WanPart::ImageEncoder, path);
  if (find_part(checkpoint, kUmt5Part)) return load_text_encoder(path);
  fail(ErrorKind::Input,
       "{}: holds no part that is known: neither a Wan transformer, VACE module or VAE nor a UMT5 "
       "or "
       "CLIP encoder",
       path.string());
}

struct TypeRow {
  std::string_view name;
  at::ScalarType dtype;
  const char* blocks;
};

constexpr TypeRow kTypes[] = {{"f32", at::kFloat, nullptr},
                              {"f16", at::kHalf, nullptr},
                              {"bf16", at::kBFloat16, nullptr},
                              {"q8_0", at::kHalf, "Q8_0"},
                              {"q4_k", at::kHalf, "Q4_K"}};

const TypeRow* find_type(const std::string& name) {
  if (name.empty()) return nullptr;
  for (const TypeRow& row : kTypes) {
    if (row.name == name) return &row;
  }
  fail(ErrorKind::Usage, "--type {} is unknown; it is f32, f16, bf16, q8_0 or q4_k", name);
}

// Small tensors, and those at which the published quantisations leave the precision as it is.
bool is_kept_precise(const std::string& name, const std::vector<int64_t>& shape) {
  return shape.size() != 2 || name.starts_with("condition_embedder.time_embedder") ||
         name.starts_with("proj_out") || name.find("relative_attention_bias") != std::string::npos;
}

const BlockFormat* blocks_for(const TypeRow& type, const std::string& name,
                              const std::vector<int64_t>& shape) {
  if (!type.blocks || is_kept_precise(name, shape)) return nullptr;
  for (const char* each : {type.blocks, "Q8_0"}) {
    const BlockFormat* blocks = find_block_format(std::string_view(each));
    if (shape.back() % blocks->num_values == 0) return blocks;
  }
  return nullptr;
}

// As the output's readers know the tensor, which has diffusers' or transformers' name here; empty
// for one that is there under another name too.
std::string name_in_file(const LoadedPart& part, const std::string& name, bool to_gguf) {
  if (part.kind == PartKind::Transformer || part.kind == PartKind::Control)
    return original_transformer_name(name);
  if (!to_gguf) return name;
  const bool is_twin = name == "encoder.embed_tokens.weight" && part.weights->has("shared.weight");
  return is_twin ? "" : gguf_umt5_name(name);
}

std::vector<TensorSource> sources_of(const LoadedPart& part, const TypeRow* type,
                                     const std::function<std::string(const std::string&)>& rename,
                                     Observer& observer) {
  std::vector<TensorSource> sources;
  const std::vector<std::string> names = part.weights->names();
  observer.begin(Phase::Write, static_cast<int64_t>(names.size()));
  auto done = std::make_shared<int64_t>(0);
  for (const std::string& name : names) {
    const TensorInfo& info = part.weights->info(name);
    const auto packed = part.weights->packed(name);
    TensorSource source;
    source.name = rename(name);
    if (source.name.empty()) continue;
    source.shape = info.shape;
    source.dtype = type ? type->dtype : packed ? at::kBFloat16 : info.dtype;
    // What the reference keeps in f32 whatever the model's type, and what quantisers leave alone.
    const bool small = info.shape.size() < 2 || name.find("scale_shift_table") != std::string::npos;
    if (type && type->blocks && small) source.dtype = at::kFloat;
    if (type) source.blocks = blocks_for(*type, name, info.shape);
    source.load = [weights = part.weights, name, packed, shape = info.shape, dtype = source.dtype,
                   blocks = source.blocks, done, &observer] {
      check_stop(observer);
      observer.advance(Phase::Write, ++*done);
      const at::ScalarType made = blocks ? at::kFloat : dtype;
      return packed ? packed->all(made).reshape(shape) : weights->get(name);
    };
    sources.push_back(std::move(source));
  }
  return sources;
}

void write_text(const fs::path& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text.data(), text.size());
  file.commit();
}

void check_output(const ConvertModel& task, const LoadedPart& part, bool to_gguf, bool to_file) {
  if (to_gguf && part.kind == PartKind::Other) {
    fail(ErrorKind::Usage,
         "{}: is no transformer, VACE module or text encoder, of which alone a GGUF is written",
         task.input);
  }
  if (!to_file && part.kind == PartKind::Control) {
    fail(ErrorKind::Usage,
         "{}: is a VACE module, of which a single file is written: let {} end in .safetensors or "
         ".gguf",
         task.input, task.output);
  }
}

// The tokenizer that goes into a text encoder's GGUF; none where there is none, which `observer` is
// told.
std::map<std::string, GgufMetadata> tokenizer_for(const ConvertModel& task, const LoadedPart& part,
                                                  Observer& observer) {
  ModelFiles files;
  files.tokenizer = task.tokenizer;
  std::vector<std::string> notices;
  fs::path tokenizer;
  try {
    tokenizer = find_tokenizer(files, part.path, notices);
  } catch (const Error& error) {
    if (!task.tokenizer.empty() || error.kind() != ErrorKind::NotFound) throw;
    observer.notice(
        "no tokenizer is beside the text encoder, and none goes into the file (--tokenizer gives "
        "one)");
    return {};
  }
  for (const std::string& notice : notices) observer.notice(notice);
  return gguf_tokenizer(TokenizerFiles::read(tokenizer));
}

void write_as_gguf(const ConvertModel& task, const LoadedPart& part,
                   const std::vector<TensorSource>& sources, Observer& observer) {
  std::map<std::string, GgufMetadata> metadata;
  if (part.kind == PartKind::TextEncoder) metadata = tokenizer_for(task, part, observer);
  metadata["general.architecture"] =
      std::string(part.kind == PartKind::TextEncoder ? "t5encoder" : "wan");
  if (!part.config.is_null()) metadata["config"] = part.config.dump();
  write_gguf(task.output, sources, metadata);
}

void write_as_safetensors(const fs::path& output, const LoadedPart& part,
                          const std::vector<TensorSource>& sources) {
  std::map<std::string, std::string> metadata = {{"format", "pt"}};
  if (!part.config.is_null()) metadata["config"] = part.config.dump();
  write_safetensors(output, sources, metadata);
}

// Shards that were there before the file, whose index is read before it.
void remove_shards(const fs::path& weights) {
  const fs::path index = weights.string() + ".index.json";
  if (!fs::exists(index)) return;
  ShardIndex shards;
  try {
    shards = parse_shard_index(read_file(index), index.string());
  } catch (const Error&) {
    // It names none.
  }
  fs::remove(index);
  for (const auto& [tensor, name] : shards) {
    const fs::path shard = weights.parent_path() / name;
    if (shard.extension() == ".safetensors" && shard != weights) fs::remove(shard);
  }
}

// Returns the file with the weights.
fs::path write_as_directory(const fs::path& output, const LoadedPart& part,
                            const std::vector<TensorSource>& sources) {
  fs::create_directories(output);
  const bool is_diffusers = part.config.contains("_class_name");
  const fs::path weights =
      output / (is_diffusers ? "diffusion_pytorch_model.safetensors" : "model.safetensors");
  write_safetensors(weights, sources, {{"format", "pt"}});
  remove_shards(weights);
  write_text(output / "config.json",
             part.config.dump(2) + "\n");  // last: without it it is no component
  return weights;
}

}  // namespace

nlohmann::json convert_model(const ConvertModel& task, Observer& observer) {
  const fs::path output = task.output;
  const std::string extension = output.extension().string();
  const TypeRow* type = find_type(task.type);
  const bool to_gguf = extension == ".gguf", to_file = to_gguf || extension == ".safetensors";
  if (fs::exists(output) && !task.force)
    fail(ErrorKind::Usage, "{}: exists; --force replaces it", output.string());
  if (!to_gguf && type && type->blocks)
    fail(ErrorKind::Usage, "--type {} needs an output that ends in .gguf", task.type);

  const LoadedPart part = load_part(task.input);
  check_output(task, part, to_gguf, to_file);
  if (to_gguf && !type) type = find_type("bf16");
  const auto rename = [&](const std::string& name) {
    return to_file ? name_in_file(part, name, to_gguf) : name;
  };
  const std::vector<TensorSource> sources = sources_of(part, type, rename, observer);
  fs::path written = output;
  if (to_gguf) {
    write_as_gguf(task, part, sources, observer);
  } else if (to_file) {
    write_as_safetensors(output, part, sources);
  } else {
    written = write_as_directory(output, part, sources);
  }
  return {{"path", output.string()},
          {"tensors", sources.size()},
          {"bytes", fs::file_size(written)},
          {"config", part.config}};
}

}  // namespace sora
