// What is counted: weights as they are held (mapped pages count once they are read), the tensors
// that are alive at the widest point of each network, and the program with its libraries.
#include "lib/pipelines/memory_plan.h"

#include <ATen/ATen.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>

#include "kernels/linear.h"
#include "lib/core/error.h"
#include "lib/models/wan/parts.h"
#include "lib/models/wan/wan_denoiser.h"
#include "lib/pipelines/decode.h"
#include "lib/pipelines/output_shaper.h"

namespace sora {
namespace {

constexpr int64_t kProgram = 256 << 20;       // libtorch, FFmpeg and the encoder's buffers
constexpr int64_t kGpuLibraries = 512 << 20;  // what cuBLAS and cuDNN work in; an estimate
constexpr double kMiB = 1024.0 * 1024.0;
constexpr int64_t kMostKept = int64_t{4} << 30;

int64_t program_bytes(const Plan& plan) { return plan.device.is_cpu() ? kProgram : kGpuLibraries; }

int64_t element_size(const Plan& plan) { return plan.dtype == "f32" ? 4 : 2; }

at::ScalarType scalar_type(const Plan& plan) { return sora::scalar_type(plan.dtype); }

// Whether this processor wants a weight in an order of its own; asked of every tensor.
bool is_reordered(at::ScalarType dtype) {
  static std::mutex mutex;
  static std::map<at::ScalarType, bool> known;
  const std::lock_guard lock(mutex);
  const auto [answer, is_new] = known.try_emplace(dtype);
  if (is_new) answer->second = kernels::pack(at::zeros({64, 64}, dtype)).defined();
  return answer->second;
}

// Of a tensor in a layer: what is read of the file, and the copy that another type, or another
// order, asks for.
struct TensorBytes {
  int64_t stored = 0;
  int64_t copied = 0;

  // Pages of what was copied are let go, tensor by tensor.
  int64_t held() const { return copied > 0 ? copied : stored; }
  int64_t let_go() const { return copied > 0 ? stored : 0; }
};

// On a GPU everything is a copy in the type wanted, but for matrices with a scale, which stay
// packed.
int64_t bytes_on_gpu(const Checkpoint& checkpoint, const std::string& name, at::ScalarType dtype) {
  const TensorInfo& info = checkpoint.info(name);
  const auto packed = info.shape.size() == 2 ? checkpoint.packed(name) : nullptr;
  if (packed && packed->is_scaled()) return packed->num_bytes();
  return info.num_values() * static_cast<int64_t>(c10::elementSize(dtype));
}

// What the transformer computes in f32 whatever its type (lib/models/wan/condition_embedder.cpp).
bool is_kept_in_f32(const std::string& name) {
  return name.starts_with("condition_embedder.time_embedder.");
}

// Matrices that are computed in 8 bits are copied into them.
TensorBytes bytes_of(const Checkpoint& checkpoint, const std::string& name, const Plan& plan,
                     bool int8_products = false) {
  const TensorInfo& info = checkpoint.info(name);
  const at::ScalarType dtype = is_kept_in_f32(name) ? at::kFloat : scalar_type(plan);
  if (!plan.device.is_cpu()) return {0, bytes_on_gpu(checkpoint, name, dtype)};
  if (int8_products && info.shape.size() == 2) return {info.num_bytes(), info.num_values()};
  if (checkpoint.packed(name)) return {info.num_bytes(), 0};
  const bool is_copied = info.dtype != dtype || (info.shape.size() == 2 && is_reordered(dtype));
  return {info.num_bytes(),
          is_copied ? info.num_values() * static_cast<int64_t>(c10::elementSize(dtype)) : 0};
}

// "blocks.12.x" -> "blocks.12", with "blocks." among `lists`; empty for other tensors.
std::string layer_of(const std::string& name, std::initializer_list<std::string_view> lists) {
  for (const std::string_view list : lists) {
    if (name.starts_with(list)) return name.substr(0, name.find('.', list.size()));
  }
  return "";
}

struct PartBytes {
  int64_t rest = 0;     // outside of the layers
  int64_t layers = 0;   // all of them
  int64_t largest = 0;  // of one while it is loaded
  int64_t num_layers = 0;
};

PartBytes measure(const Checkpoint& checkpoint, const Plan& plan) {
  const bool int8_products = arithmetic_of(plan).int8_products;
  PartBytes bytes;
  std::map<std::string, int64_t> layers;
  int64_t largest_let_go = 0;
  for (const std::string& name : checkpoint.names()) {
    const std::string layer = layer_of(name, {"blocks.", "vace_blocks."});
    const TensorBytes tensor = bytes_of(checkpoint, name, plan, int8_products && !layer.empty());
    if (layer.empty()) {
      bytes.rest += tensor.held();
      continue;
    }
    bytes.layers += tensor.held();
    layers[layer] += tensor.held();
    largest_let_go = std::max(largest_let_go, tensor.let_go());
  }
  for (const auto& [name, size] : layers)
    bytes.largest = std::max(bytes.largest, size + largest_let_go);
  bytes.num_layers = static_cast<int64_t>(layers.size());
  return bytes;
}

// The larger one of the experts.
PartBytes measure_experts(const ModelInfo& model, const Plan& plan) {
  PartBytes larger;
  for (const bool low_noise : {false, true}) {
    if (low_noise && !model.has_two_experts()) break;
    const auto checkpoint = open_transformer(model.parts.expert(low_noise));
    const PartBytes expert = measure(*checkpoint, plan);
    if (expert.layers > larger.layers) larger = expert;
  }
  return larger;
}

struct VaeBytes {
  int64_t encoder = 0;
  int64_t decoder = 0;
};

VaeBytes measure_vae(const ModelInfo& model, const Plan& plan) {
  VaeBytes bytes;
  const auto vae = open_weights(WanPart::Vae, model.parts.vae);
  for (const std::string& name : vae->names()) {
    if (name.starts_with("decoder.")) bytes.decoder += bytes_of(*vae, name, plan).held();
    if (name.starts_with("encoder.")) bytes.encoder += bytes_of(*vae, name, plan).held();
  }
  return bytes;
}

// The same for all clips of a model in these numbers, and read from its files once where parts of
// it are kept.
template <typename Bytes>
Bytes measured_once(const char* what, Bytes (*measured)(const ModelInfo&, const Plan&),
                    const ModelInfo& model, const Plan& plan) {
  const std::string name = fmt::format("bytes of {} {} {} {}", what, plan.dtype, plan.device.str(),
                                       arithmetic_of(plan).int8_products);
  return *model.part<Bytes>(name,
                            [&] { return std::make_shared<const Bytes>(measured(model, plan)); });
}

// The images' own encoder, of which all is loaded.
int64_t image_encoder_bytes(const ModelInfo& model, const Plan& plan) {
  if (!model.wants_image_embeds || model.parts.image_encoder.empty()) return 0;
  const auto stored = open_weights(WanPart::ImageEncoder, model.parts.image_encoder);
  int64_t bytes = 0;
  for (const std::string& name : stored->names()) bytes += bytes_of(*stored, name, plan).held();
  return bytes;
}

// The encoder goes through its layers one by one; of the table some rows are read.
int64_t text_bytes(const ModelInfo& model, const Plan& plan) {
  const Checkpoint stored = Checkpoint::open(model.parts.text_encoder);
  int64_t largest = 0;
  std::map<std::string, int64_t> layers;
  for (const std::string& name : stored.names()) {
    const std::string layer = layer_of(name, {"encoder.block.", "blocks.", "enc.blk."});
    if (!layer.empty()) layers[layer] += bytes_of(stored, name, plan).held();
  }
  for (const auto& [name, size] : layers) largest = std::max(largest, size);
  return program_bytes(plan) + largest;
}

// The most texts that hold in one window, each with keys and values of its own.
int64_t most_texts(const Plan& plan) {
  int64_t most = 1;
  for (const Window& window : plan.windows) {
    const int64_t start = std::max(window.frames.start, window.sees.start);
    const int64_t stop = std::min(window.frames.stop, window.sees.stop);
    const auto count = std::count_if(
        plan.layout.prompts.begin(), plan.layout.prompts.end(), [&](const Said& said) {
          return std::max(start, canvas_frame_of(plan, said.frames.start)) <
                 std::min(stop, canvas_frame_of(plan, said.frames.stop));
        });
    most = std::max<int64_t>(most, count);
  }
  return most;
}

// Hidden state in f32, its norm in both types, and the widest of what follows: q, k, v and the
// attention's output, on the CPU keys and values once more in its order, or the feed-forward's
// inner rows; the keys and values of the text in every layer; the latents of the sampler and of
// guidance.
int64_t sample_activations(const ModelInfo& model, const Plan& plan) {
  const WanTransformerConfig& config = model.transformer;
  const int64_t element = element_size(plan), width = config.inner_dim();
  const LatentGrid grid = drawn_grid(plan, plan.grid.num_frames());
  const int64_t tokens = grid.num_tokens();
  const int64_t prompts = most_texts(plan);
  const bool is_edit = plan.layout.edit != EditMethod::None;
  const bool guided = std::max(plan.guidance_scale, plan.guidance_scale_2) > 1.0;
  const bool batched =
      guided && !is_edit && prompts == 1 && tokens <= kMaxBatchedTokens && !config.image_dim;
  const int64_t rows = tokens * (batched ? 2 : 1);
  // The control branch has a hidden state of its own, and its hint.
  const int64_t inner = std::max((plan.device.is_cpu() ? 6 : 3) * width, config.ffn_dim);
  // On a GPU norms and rotation are made of ATen's operators, with five copies of a hidden state in
  // f32 between them.
  const int64_t copies = plan.device.is_cpu() ? 0 : 5 * 4;
  const int64_t hidden =
      rows * (width * (4 + 2 * element + copies + (config.has_control() ? 4 + element : 0)) +
              inner * element);
  const auto num_layers = config.num_layers + static_cast<int64_t>(config.vace_layers.size());
  // Beside the prompts the negative one; edits are told of the source's text too.
  const int64_t texts =
      prompts + (is_edit || guided ? 1 : 0) + (plan.layout.edit == EditMethod::FlowEdit ? 1 : 0);
  const int64_t text =
      num_layers * texts * model.defaults.max_sequence_length * width * 2 * element;
  const int64_t latents = 12 * grid.frames * grid.height * grid.width * grid.strides.channels * 4;
  return hidden + text + latents;
}

// The tiny decoder's last stage: 64 channels of four frames at nearly full size, four times.
int64_t tiny_decode_activations(const Plan& plan) {
  constexpr int64_t kChannels = 64, kLiveFrames = 4 * 4;
  return plan.canvas_size.width * plan.canvas_size.height * kChannels * kLiveFrames *
         element_size(plan);
}

// At its widest the decoder holds, of the frame at full size, the inputs of a residual block, its
// two convolutions' outputs, the caches of the level, the frames that are enlarged for it, and what
// the convolutions copy for themselves: as much as 60 frames of the level, measured at 128x128 to
// 832x480 (scripts/bench/memory).
int64_t decode_activations(const ModelInfo& model, const Plan& plan, bool tiled) {
  if (!model.parts.tiny_vae.empty()) return tiny_decode_activations(plan);
  const WanVaeConfig& vae = model.vae;
  const int64_t patch = vae.patch_size;
  const WanVaeTiling tile;
  const int64_t width =
      tiled ? std::min(tile.tile_width, plan.canvas_size.width) : plan.canvas_size.width;
  const int64_t height =
      tiled ? std::min(tile.tile_height, plan.canvas_size.height) : plan.canvas_size.height;
  const int64_t pixels = width * height / (patch * patch);
  const int64_t channels = vae.decoder_base_dim * vae.dim_mult.front();
  constexpr int64_t kLiveFrames = 60;
  int64_t working = pixels * channels * kLiveFrames * element_size(plan);
  if (tiled)
    working += working /
               4;  // tiles at the rims have other sizes: what is free of one does not fit the other
  if (!tiled) return working;
  // Tiles wait for their neighbours over the whole length of a window.
  const int64_t led = plan.layout.cyclic ? (kCircleLead + 1) * plan.grid.strides.temporal : 0;
  return working + (plan.grid.num_frames() + led) * plan.canvas_size.width *
                       plan.canvas_size.height * 4 * element_size(plan);
}

// Frames on their way from the decoder to the file: in f32 and in bytes, those that the video
// encoder looks ahead at, and where there are sources those that borders are matched with. Measured
// with nano at 1024x768; what is held for the program has room for those of small frames.
int64_t shown_frames(const Plan& plan) {
  if (!plan.device.is_cpu()) return 0;
  constexpr int64_t kShownBytes = 160, kMatchedBytes = 240, kHeldAnyway = 80 << 20;
  constexpr int64_t kMovedBytes = 320;  // of minterpolate, for each pixel
  const int64_t each = kShownBytes + (plan.layout.has_sources() ? kMatchedBytes : 0) +
                       (moves_between_frames(plan) ? kMovedBytes : 0);
  const int64_t area = plan.canvas_size.width * plan.canvas_size.height;
  return std::max<int64_t>(0, area * each - kHeldAnyway);
}

// At its widest the encoder holds, at full size, the four frames of a chunk, those of a residual
// block with what its convolutions remember, and those that the level remembers. Beside it stand
// the frames themselves as they are brought from a source's bytes to patches.
int64_t encode_activations(const ModelInfo& model, const Plan& plan, bool tiled) {
  const WanVaeConfig& vae = model.vae;
  const int64_t patch = vae.patch_size, element = element_size(plan);
  const int64_t area = plan.canvas_size.width * plan.canvas_size.height;
  const WanVaeTiling tile = encoder_tiling(vae);
  const int64_t width = plan.canvas_size.width / patch, height = plan.canvas_size.height / patch;
  const int64_t patches =
      tiled ? std::min(tile.tile_width, width) * std::min(tile.tile_height, height)
            : width * height;
  constexpr int64_t kLiveFrames = 32, kReadBytes = 4 * 4 * 3 * 4;  // four copies of four f32 frames
  const int64_t working = patches * vae.base_dim * kLiveFrames * element + area * kReadBytes;
  // All of them wait for each tile.
  return working + (tiled ? plan.grid.num_frames() * area * 3 * element : 0);
}

// Whether the VAE's encoder is used: for what the user gave, for what windows see of one another,
// and for a control branch, which is told of free frames too.
bool encodes_frames(const ModelInfo& model, const Plan& plan) {
  const Layout& layout = plan.layout;
  return layout.has_sources() || !layout.pictures.empty() || plan.windows.size() > 1 ||
         model.known_frames == KnownFrames::ControlBranch || model.defaults.grey_without_frames;
}

// Drawn frames that wait for earlier ones: a beginning is drawn from its end on.
int64_t waiting_frames(const Plan& plan) {
  if (!plan.device.is_cpu()) return 0;
  int64_t most = 0;
  for (size_t index = 1; index < plan.windows.size(); ++index) {
    int64_t waiting = 0;
    for (size_t before = 0; before < index; ++before) {
      const Stretch& drawn = plan.windows[before].draws;
      if (drawn.start > plan.windows[index].draws.start) waiting += drawn.size();
    }
    most = std::max(most, waiting);
  }
  return most * plan.canvas_size.width * plan.canvas_size.height * 3;
}

// Mapped layers that do not fit would be read again at each step by the kernel, page by page;
// streamed they are read in order. On a GPU as many as fit stay there beside the one that is
// computed and the next one, which is copied meanwhile; the weights of the others wait in the
// host's memory where they take less than half of what is free.
void stream_layers(const Plan& plan, const PartBytes& transformer, int64_t activations,
                   MemoryPlan& memory) {
  Placement& placement = memory.placement;
  if (plan.device.is_cpu() || transformer.largest == 0) {
    placement.resident_blocks = 0;
    memory.sample = activations + transformer.largest;
    return;
  }
  const int64_t moving = activations + 2 * transformer.largest;
  placement.resident_blocks = std::clamp<int64_t>((memory.limit - moving) / transformer.largest, 0,
                                                  transformer.num_layers - 1);
  memory.sample = moving + placement.resident_blocks * transformer.largest;
  const int64_t on_host =
      (transformer.num_layers - placement.resident_blocks) * transformer.largest;
  placement.host_copies = on_host < free_memory() / 2;
}

std::string in_mib(int64_t bytes) {
  return fmt::format("{:.0f} MiB", static_cast<double>(bytes) / kMiB);
}

}  // namespace

int64_t MemoryPlan::peak() const { return std::max({text, encode, sample, decode}); }

std::string MemoryPlan::describe() const {
  const std::string streamed =
      !placement.streams_blocks() ? ""
      : placement.resident_blocks == 0
          ? " (layers streamed)"
          : fmt::format(" (layers after the first {} streamed)", placement.resident_blocks);
  const std::string encoding = encode == 0 ? "" : fmt::format("sources {}, ", in_mib(encode));
  return fmt::format("{} of {}: text {}, {}sampling {}{}, decoding {}{}", in_mib(peak()),
                     in_mib(limit), in_mib(text), encoding, in_mib(sample), streamed,
                     in_mib(decode), placement.tile_frames ? " (in tiles)" : "");
}

WanVaeTiling encoder_tiling(const WanVaeConfig& vae) {
  const int64_t patch = vae.patch_size;
  const WanVaeTiling tile;
  return {tile.tile_height / patch, tile.tile_width / patch, tile.stride_height / patch,
          tile.stride_width / patch};
}

bool encodes_in_tiles(const ModelInfo& model, const Plan& plan) {
  return (tiles_frames(plan) || model.placement.tile_frames) &&
         encode_activations(model, plan, true) < encode_activations(model, plan, false);
}

std::vector<std::string> tiled_parts(const ModelInfo& model, const Plan& plan) {
  std::vector<std::string> parts;
  const WanVaeTiling tile;
  const bool exceeds_tile =
      plan.canvas_size.width > tile.tile_width || plan.canvas_size.height > tile.tile_height;
  const bool tiles = tiles_frames(plan) || model.placement.tile_frames;
  if (tiles && exceeds_tile && model.parts.tiny_vae.empty()) parts.push_back("frames");
  if (encodes_frames(model, plan) && encodes_in_tiles(model, plan)) parts.push_back("sources");
  return parts;
}

int64_t free_memory() {
  int64_t available = INT64_MAX;
  std::ifstream info("/proc/meminfo");
  for (std::string line; std::getline(info, line);) {
    std::istringstream words(line);
    std::string name;
    int64_t kibibytes = 0;
    if (words >> name >> kibibytes && name == "MemAvailable:") available = kibibytes * 1024;
  }
  int64_t limit = 0, used = 0;
  std::ifstream limit_file("/sys/fs/cgroup/memory.max"), used_file("/sys/fs/cgroup/memory.current");
  if (limit_file >> limit && used_file >> used)
    available = std::min(available, std::max<int64_t>(limit - used, 0));
  return available;
}

int64_t free_memory(at::Device device) {
  if (device.is_cpu()) return free_memory();
  return static_cast<int64_t>(
      at::getDeviceAllocator(device.type())->getMemoryInfo(device.index()).first);
}

MemoryPlan plan_memory(const ModelInfo& model, const Plan& plan, std::optional<int64_t> limit,
                       bool only_decodes) {
  MemoryPlan memory;
  memory.limit = limit ? *limit : free_memory(plan.device);
  PartBytes transformer;
  if (!only_decodes) transformer = measured_once("transformer", measure_experts, model, plan);
  const bool encodes = !only_decodes && encodes_frames(model, plan);
  const VaeBytes vae = measured_once("vae", measure_vae, model, plan);
  const int64_t decoder = vae.decoder, encoder = encodes ? vae.encoder : 0;
  const int64_t image_encoder =
      encodes ? measured_once("image encoder", image_encoder_bytes, model, plan) : 0;

  const int64_t waiting = waiting_frames(plan);
  const int64_t activations =
      program_bytes(plan) + transformer.rest + sample_activations(model, plan) + waiting;
  if (!only_decodes) {
    memory.text = measured_once("text", text_bytes, model, plan);
    memory.sample = activations + transformer.layers;
  }
  const auto decode_bytes = [&](bool tiled) {
    return program_bytes(plan) + decoder + decode_activations(model, plan, tiled) +
           shown_frames(plan) + waiting;
  };
  if (memory.sample > memory.limit) stream_layers(plan, transformer, activations, memory);
  const auto encode_bytes = [&](bool may_tile) {
    const int64_t whole = encode_activations(model, plan, false);
    const int64_t activations =
        may_tile ? std::min(whole, encode_activations(model, plan, true)) : whole;
    return program_bytes(plan) + encoder + waiting + std::max(activations, image_encoder);
  };
  const bool always_tiled = tiles_frames(plan);
  // Plans the VAE's phases so, and says whether they fit.
  const auto plan_vae = [&](bool tiled) {
    memory.placement.tile_frames = tiled && !always_tiled;
    memory.decode = decode_bytes(tiled);
    if (encodes) memory.encode = encode_bytes(tiled);
    return std::max(memory.encode, memory.decode) <= memory.limit;
  };
  const bool tiled = always_tiled || plan.tiled.value_or(false);
  if (!plan_vae(tiled) && !always_tiled && !plan_vae(!tiled)) plan_vae(true);
  const auto refuse = [&](const char* phase, int64_t bytes, const char* help) {
    fail(ErrorKind::Memory, "{} of this clip needs {}, and {} are there; {}", phase, in_mib(bytes),
         in_mib(memory.limit), help);
  };
  if (memory.text > memory.limit)
    refuse("encoding the text", memory.text,
           "take a quantised text encoder, or allow more with --memory");
  if (memory.encode > memory.limit)
    refuse("encoding the sources", memory.encode,
           "make the clip smaller or shorter, or allow more with --memory");
  if (memory.sample > memory.limit)
    refuse("sampling", memory.sample,
           "make the clip smaller or shorter, or allow more with --memory");
  if (memory.decode > memory.limit)
    refuse("decoding", memory.decode,
           "make the clip smaller or shorter, or allow more with --memory");
  // Recorded passes hold what they compute in as long as they stay.
  memory.placement.record_passes = plan.cuda_graph && !memory.placement.streams_blocks();
  const int64_t let_go = memory.placement.record_passes ? 0 : sample_activations(model, plan);
  const int64_t sampler = only_decodes ? 0 : memory.sample - program_bytes(plan) - let_go - waiting;
  memory.placement.keeps_networks =
      std::max({memory.sample + decoder + encoder, memory.decode + sampler + encoder,
                memory.encode + sampler + decoder}) <= memory.limit;
  // Without a limit an eighth of what is free; of a limit what the plan leaves, as far as the plan
  // still tells the truth.
  memory.placement.kept_bytes =
      !plan.device.is_cpu()
          ? 0
          : std::min(kMostKept, limit ? std::min(memory.limit - memory.peak(), memory.peak() / 20)
                                      : memory.limit / 8);
  return memory;
}

}  // namespace sora
