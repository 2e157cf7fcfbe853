// Latents to colours by one matrix: a latent pixel becomes patch x patch pixels of RGB. What is
// left of a VAE's decoder when it is taken as linear; enough to see places, colours and motion.
#pragma once

#include <ATen/core/Tensor.h>

#include <filesystem>
#include <optional>
#include <string>

#include "lib/pipelines/decode.h"
#include "lib/pipelines/previewer.h"

namespace sora {

// Z latent channels, O outputs of one latent pixel: row, column, colour
struct ColourMap {
  int64_t patch = 1;
  at::Tensor weight_ZO;  // f32, for normalised latents and colours in [-1,1]
  at::Tensor bias_O;
  // Of the first latent frame, which holds one frame instead of several; undefined: as the others.
  at::Tensor first_weight_ZO;
  at::Tensor first_bias_O;
};

// Reads a map: {"vae": fingerprint, "patch": p, "weight": [[..]..], "bias": [..]}, and for the
// first latent frame "first": {"weight", "bias"} if it differs; one that is a model's own names no
// VAE. Nothing where there is no file or it is of another VAE. Throws Error(Input) for a damaged
// one.
std::optional<ColourMap> read_colour_map(const std::filesystem::path& path,
                                         const std::string& vae_fingerprint, int64_t num_channels);
void write_colour_map(const std::filesystem::path& path, const std::string& vae_fingerprint,
                      const ColourMap& map);

// Asks a decoder of latents of so many channels: the colours of areas of one random latent each,
// and the matrix that fits them best (ridge regression). Takes about as long as decoding one large
// frame.
ColourMap measure_colour_map(const Decoder& decoder, int64_t num_channels);

class ColourMapPreviewer : public Previewer {
 public:
  explicit ColourMapPreviewer(ColourMap map) : map_(std::move(map)) {}
  at::Tensor operator()(const at::Tensor& latents_1CFHW) const override;

 private:
  ColourMap map_;
};

}  // namespace sora
