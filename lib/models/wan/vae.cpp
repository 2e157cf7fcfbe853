#include "lib/models/wan/vae.h"

#include <ATen/ATen.h>
#include <fmt/ranges.h>

#include <utility>

#include "lib/core/error.h"

namespace sora {
namespace {

// The clips of a batch go through the network one by one: a frame has work enough for all threads.
at::Tensor batch_of(std::vector<at::Tensor>& clips) {
  return clips.size() == 1 ? clips.front().unsqueeze(0) : at::stack(clips);
}

TileAxis scaled(const TileAxis& axis, int64_t numerator, int64_t denominator) {
  return {axis.whole * numerator / denominator, axis.size * numerator / denominator,
          axis.stride * numerator / denominator};
}

// Rows and columns of tiles in the order in which blend_tiles() wants them.
struct TileGrid {
  TileAxis rows;
  TileAxis columns;

  int64_t count() const { return rows.count() * columns.count(); }
  at::Tensor cut(const at::Tensor& frames_THWC, int64_t tile) const {
    const int64_t row = tile / columns.count();
    const int64_t column = tile % columns.count();
    return frames_THWC.slice(1, rows.start(row), rows.stop(row))
        .slice(2, columns.start(column), columns.stop(column))
        .contiguous();
  }
};

}  // namespace

WanVae::WanVae(const WanVaeConfig& config, const Weights& weights, WanVaeParts parts)
    : config_(config), dtype_(weights.dtype()), device_(weights.device()) {
  const auto options = at::TensorOptions(at::kFloat);
  mean_Z_ = at::tensor(config.latents_mean, options).to(device_);
  std_Z_ = at::tensor(config.latents_std, options).to(device_);
  if (parts != WanVaeParts::Decoder) {
    encoder_.emplace(config, weights);
    weights["encoder"].check_all_used();
  }
  if (parts != WanVaeParts::Encoder) {
    decoder_.emplace(config, weights);
    weights["decoder"].check_all_used();
  }
  if (parts == WanVaeParts::Both) weights.check_all_used();
}

void WanVae::set_tiling(const std::optional<WanVaeTiling>& tiling) {
  if (tiling) tiling->check(config_.scale_factor_spatial);
  tiling_ = tiling;
}

at::Tensor WanVae::normalised(const at::Tensor& latents_BFHWZ) const {
  return latents_BFHWZ.to(at::kFloat)
      .sub(mean_Z_)
      .div_(std_Z_)
      .permute({0, 4, 1, 2, 3})
      .contiguous();
}

at::Tensor WanVae::denormalised(const at::Tensor& latents_BZFHW) const {
  return latents_BZFHW.permute({0, 2, 3, 4, 1})
      .to(device_, at::kFloat)
      .mul(std_Z_)
      .add_(mean_Z_)
      .to(dtype_)
      .contiguous();
}

// A patch of the checkpoint is colour, column, row.
at::Tensor WanVae::to_patches(const at::Tensor& frames_CFHW) const {
  const int64_t patch = config_.patch_size;
  return frames_CFHW.to(device_, dtype_)
      .unflatten(3, {-1, patch})
      .unflatten(2, {-1, patch})  // [C,F,H,h,W,w]
      .permute({1, 2, 4, 0, 5, 3})
      .flatten(3)
      .contiguous();
}

at::Tensor WanVae::to_pixels(const at::Tensor& patches_FHWC) const {
  const int64_t patch = config_.patch_size, frames = patches_FHWC.size(0);
  const int64_t height = patches_FHWC.size(1) * patch, width = patches_FHWC.size(2) * patch;
  const at::Tensor rows = patches_FHWC.unflatten(3, {patch, -1}).transpose(2, 3).contiguous();
  const at::Tensor pixels_FHWC = rows.view({frames, height, width, -1});
  if (!config_.clip_output) return pixels_FHWC.to(at::kFloat);
  return pixels_FHWC.clamp(-1, 1).to(at::kFloat);
}

at::Tensor WanVae::encode(const at::Tensor& video_BCFHW) const {
  return encode(video_BCFHW.size(2),
                [&](int64_t first, int64_t count) { return video_BCFHW.narrow(2, first, count); });
}

at::Tensor WanVae::encode(int64_t num_frames, const ReadFrames& read_frames,
                          const BetweenTiles& between_tiles) const {
  if (!encoder_) fail(ErrorKind::Internal, "the encoder of this VAE was not loaded");
  const int64_t step = config_.scale_factor_temporal;
  const int64_t grid = config_.scale_factor_spatial;
  if (num_frames < 1 || (num_frames - 1) % step != 0) {
    fail(ErrorKind::Input, "a clip of {} frames cannot be encoded; expected {}n+1", num_frames,
         step);
  }
  const int64_t num_chunks = (num_frames - 1) / step + 1;
  const auto read_chunk = [&](int64_t chunk) {
    const int64_t first = chunk == 0 ? 0 : 1 + step * (chunk - 1);
    const int64_t count = chunk == 0 ? 1 : step;
    const at::Tensor frames = read_frames(first, count);
    const int64_t channels = config_.in_channels / (config_.patch_size * config_.patch_size);
    if (frames.dim() != 5 || frames.size(1) != channels || frames.size(2) != count ||
        frames.size(3) % grid != 0 || frames.size(4) % grid != 0 || frames.numel() == 0) {
      fail(ErrorKind::Input,
           "frames of shape [{}] cannot be encoded; expected [batch, {}, {}, height, width] with "
           "height "
           "and width multiples of {}",
           fmt::join(frames.sizes().vec(), ", "), channels, count, grid);
    }
    std::vector<at::Tensor> patches;
    for (const at::Tensor& clip : frames.unbind(0)) patches.push_back(to_patches(clip));
    return batch_of(patches);  // [B,F,H,W,C]
  };

  at::Tensor patches = read_chunk(0);
  const int64_t patch = config_.patch_size;
  if (tiling_ && (patches.size(2) * patch > tiling_->tile_height ||
                  patches.size(3) * patch > tiling_->tile_width)) {
    return encode_tiled(num_chunks, read_chunk, std::move(patches), between_tiles);
  }
  const int64_t batch = patches.size(0);
  std::vector<CausalCache> caches(batch);
  std::vector<at::Tensor> latents;
  for (int64_t chunk = 0; chunk < num_chunks; ++chunk) {
    if (chunk > 0) patches = read_chunk(chunk);
    std::vector<at::Tensor> modes;
    for (int64_t clip = 0; clip < batch; ++clip) {
      caches[clip].begin_chunk();
      modes.push_back((*encoder_)(patches[clip], caches[clip]));
    }
    latents.push_back(batch_of(modes));
  }
  return normalised(at::cat(latents, 1));
}

at::Tensor WanVae::encode_tiled(int64_t num_chunks,
                                const std::function<at::Tensor(int64_t)>& read_chunk,
                                at::Tensor first_chunk, const BetweenTiles& between_tiles) const {
  const TileGrid grid{{first_chunk.size(2), tiling_->tile_height, tiling_->stride_height},
                      {first_chunk.size(3), tiling_->tile_width, tiling_->stride_width}};
  const int64_t patches_per_latent = config_.scale_factor_spatial / config_.patch_size;
  const TileAxis rows = scaled(grid.rows, 1, patches_per_latent);
  const TileAxis columns = scaled(grid.columns, 1, patches_per_latent);
  std::vector<at::Tensor> chunks = {std::move(first_chunk)};
  for (int64_t chunk = 1; chunk < num_chunks; ++chunk) chunks.push_back(read_chunk(chunk));

  std::vector<at::Tensor> clips;
  for (int64_t clip = 0; clip < chunks.front().size(0); ++clip) {
    std::vector<at::Tensor> tiles;
    for (int64_t tile = 0; tile < grid.count(); ++tile) {
      CausalCache cache;
      std::vector<at::Tensor> modes;
      for (const at::Tensor& chunk : chunks) {
        if (between_tiles) between_tiles();
        cache.begin_chunk();
        modes.push_back((*encoder_)(grid.cut(chunk[clip], tile), cache));
      }
      tiles.push_back(at::cat(modes));
    }
    clips.push_back(blend_tiles(tiles, rows, columns));
  }
  return normalised(batch_of(clips));
}

void WanVae::decode(const at::Tensor& latents_BZFHW, const TakeFrames& take_frames,
                    const BetweenTiles& between_tiles) const {
  if (!decoder_) fail(ErrorKind::Internal, "the decoder of this VAE was not loaded");
  if (latents_BZFHW.dim() != 5 || latents_BZFHW.size(1) != config_.z_dim ||
      latents_BZFHW.numel() == 0) {
    fail(ErrorKind::Input,
         "latents of shape [{}] cannot be decoded; expected [batch, {}, frames, height, width]",
         fmt::join(latents_BZFHW.sizes().vec(), ", "), config_.z_dim);
  }
  const at::Tensor latents = denormalised(latents_BZFHW);
  const int64_t scale = config_.scale_factor_spatial;
  if (tiling_ && (latents.size(2) * scale > tiling_->tile_height ||
                  latents.size(3) * scale > tiling_->tile_width)) {
    decode_tiled(latents, take_frames, between_tiles);
    return;
  }
  std::vector<CausalCache> caches(latents.size(0));
  for (int64_t frame = 0; frame < latents.size(1); ++frame) {
    std::vector<at::Tensor> clips;
    for (int64_t clip = 0; clip < latents.size(0); ++clip) {
      caches[clip].begin_chunk();
      clips.push_back(to_pixels((*decoder_)(latents[clip].narrow(0, frame, 1), caches[clip])));
    }
    take_frames(batch_of(clips).permute({0, 4, 1, 2, 3}));
  }
}

// Tile by tile over the whole length, because the memories of all tiles' convolutions at once would
// take more than the untiled decoder does; the frames wait in the model's type until the last tile
// is done.
void WanVae::decode_tiled(const at::Tensor& latents_BFHWZ, const TakeFrames& take_frames,
                          const BetweenTiles& between_tiles) const {
  const int64_t scale = config_.scale_factor_spatial;
  const TileGrid grid{
      {latents_BFHWZ.size(2), tiling_->tile_height / scale, tiling_->stride_height / scale},
      {latents_BFHWZ.size(3), tiling_->tile_width / scale, tiling_->stride_width / scale}};
  const TileAxis rows = scaled(grid.rows, scale, config_.patch_size);
  const TileAxis columns = scaled(grid.columns, scale, config_.patch_size);
  const int64_t batch = latents_BFHWZ.size(0);
  const int64_t num_frames = latents_BFHWZ.size(1);

  // [latent frame][clip][tile]
  std::vector<std::vector<std::vector<at::Tensor>>> waiting(
      num_frames, std::vector<std::vector<at::Tensor>>(batch));
  for (int64_t clip = 0; clip < batch; ++clip) {
    for (int64_t tile = 0; tile < grid.count(); ++tile) {
      CausalCache cache;
      const at::Tensor latents = grid.cut(latents_BFHWZ[clip], tile);
      for (int64_t frame = 0; frame < num_frames; ++frame) {
        if (between_tiles) between_tiles();
        cache.begin_chunk();
        waiting[frame][clip].push_back((*decoder_)(latents.narrow(0, frame, 1), cache));
      }
    }
  }
  for (std::vector<std::vector<at::Tensor>>& tiles : waiting) {
    std::vector<at::Tensor> clips;
    for (int64_t clip = 0; clip < batch; ++clip)
      clips.push_back(to_pixels(blend_tiles(tiles[clip], rows, columns)));
    tiles.clear();
    take_frames(batch_of(clips).permute({0, 4, 1, 2, 3}));
  }
}

}  // namespace sora
