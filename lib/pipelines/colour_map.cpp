// The decoder is no linear map, but over areas of one latent, whose neighbours are the same, its
// colours nearly are: the first three principal directions of what a VAE stores are light and two
// colours.
#include "lib/pipelines/colour_map.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "lib/core/error.h"
#include "lib/core/json_file.h"
#include "lib/schedulers/noise.h"
#include "lib/tensor_io/atomic_file.h"

namespace sora {
namespace {

using nlohmann::json;

constexpr int64_t kMaxPatch = 16;
constexpr int64_t kAreasASide = 6;       // of one decoded frame
constexpr int64_t kLatentsAnArea = 4;    // a side; the inner half is looked at
constexpr int64_t kSamplesAChannel = 6;  // areas, for each unknown of the map
constexpr double kRidge = 0.02;          // of the samples' energy
constexpr uint64_t kSeed = 1;            // the same map whenever it is measured

at::Tensor numbers(const json& list, int64_t expected) {
  const auto values = list.get<std::vector<double>>();
  if (static_cast<int64_t>(values.size()) != expected ||
      !std::all_of(values.begin(), values.end(),
                   [](double value) { return std::isfinite(value); })) {
    throw json::other_error::create(501, "a row of other length", &list);
  }
  return at::tensor(values, at::kFloat);
}

at::Tensor matrix(const json& list, int64_t num_rows, int64_t num_columns) {
  std::vector<at::Tensor> rows;
  for (const json& row : list) rows.push_back(numbers(row, num_columns));
  if (static_cast<int64_t>(rows.size()) != num_rows)
    throw json::other_error::create(501, "another number of rows", &list);
  return at::stack(rows);
}

json rows_of(const at::Tensor& matrix) {
  json rows = json::array();
  for (int64_t row = 0; row < matrix.size(0); ++row) {
    const at::Tensor values = matrix[row].contiguous();
    rows.push_back(std::vector<float>(values.const_data_ptr<float>(),
                                      values.const_data_ptr<float>() + values.numel()));
  }
  return rows;
}

}  // namespace

std::optional<ColourMap> read_colour_map(const std::filesystem::path& path,
                                         const std::string& vae_fingerprint, int64_t num_channels) {
  std::error_code absent;
  if (!std::filesystem::exists(path, absent)) return std::nullopt;
  const json file = read_json_file(path);
  try {
    if (file.value("vae", vae_fingerprint) != vae_fingerprint) return std::nullopt;
    ColourMap map;
    map.patch = file.at("patch").get<int64_t>();
    if (map.patch < 1 || map.patch > kMaxPatch ||
        file.at("weight").size() != static_cast<size_t>(num_channels)) {
      fail(ErrorKind::Input, "{} is a map of {} channels to patches of {}; the model has {}",
           path.string(), file.at("weight").size(), map.patch, num_channels);
    }
    const int64_t outputs = map.patch * map.patch * 3;
    map.weight_ZO = matrix(file.at("weight"), num_channels, outputs);
    map.bias_O = numbers(file.at("bias"), outputs);
    if (file.contains("first")) {
      map.first_weight_ZO = matrix(file.at("first").at("weight"), num_channels, outputs);
      map.first_bias_O = numbers(file.at("first").at("bias"), outputs);
    }
    return map;
  } catch (const json::exception& error) {
    fail(ErrorKind::Input, "{} is no map of colours ({}); remove it", path.string(), error.what());
  }
}

void write_colour_map(const std::filesystem::path& path, const std::string& vae_fingerprint,
                      const ColourMap& map) {
  const std::string text = json({{"vae", vae_fingerprint},
                                 {"patch", map.patch},
                                 {"weight", rows_of(map.weight_ZO)},
                                 {"bias", rows_of(map.bias_O.unsqueeze(0))[0]}})
                               .dump() +
                           "\n";
  AtomicFile file(path);
  file.write(text.data(), text.size());
  file.commit();
}

ColourMap measure_colour_map(const Decoder& decoder, int64_t channels) {
  const int64_t areas = kAreasASide * kAreasASide;
  const int64_t side = kAreasASide * kLatentsAnArea;
  const int64_t num_frames = (kSamplesAChannel * (channels + 1) + areas - 1) / areas;
  NoiseSource noise(kSeed);
  std::vector<at::Tensor> inputs, colours;
  for (int64_t frame = 0; frame < num_frames; ++frame) {
    const at::Tensor small = noise.draw({1, channels, 1, kAreasASide, kAreasASide});
    const at::Tensor latents = small.repeat_interleave(kLatentsAnArea, 3)
                                   .repeat_interleave(kLatentsAnArea, 4)
                                   .contiguous();
    at::Tensor decoded;
    decoder.decode(latents, [&](const at::Tensor& frames_1CFHW) {
      decoded = frames_1CFHW.to(at::kCPU, at::kFloat);
    });
    const int64_t pixels = decoded.size(4) / side * kLatentsAnArea;  // of an area, a side
    const at::Tensor inner = decoded[0]
                                 .select(1, 0)
                                 .view({-1, kAreasASide, pixels, kAreasASide, pixels})
                                 .slice(2, pixels / 4, pixels - pixels / 4)
                                 .slice(4, pixels / 4, pixels - pixels / 4);
    colours.push_back(inner.mean({2, 4}).reshape({-1, areas}).t());
    inputs.push_back(small.view({channels, areas}).t());
  }
  const at::Tensor known = at::cat(inputs).to(at::kDouble);
  const at::Tensor ones = at::ones({known.size(0), 1}, at::kDouble);
  const at::Tensor design = at::cat({known, ones}, 1);
  const at::Tensor wanted = at::cat(colours).to(at::kDouble);
  at::Tensor energy = design.t().mm(design);
  energy.diagonal().slice(0, 0, channels).add_(kRidge * static_cast<double>(known.size(0)));
  const at::Tensor solution = at::linalg_solve(energy, design.t().mm(wanted));
  ColourMap map;
  map.weight_ZO = solution.slice(0, 0, channels).to(at::kFloat).contiguous();
  map.bias_O = solution[channels].to(at::kFloat).contiguous();
  return map;
}

at::Tensor ColourMapPreviewer::operator()(const at::Tensor& latents_1CFHW) const {
  const at::Tensor latents_FHWZ =
      latents_1CFHW[0].permute({1, 2, 3, 0}).to(at::kCPU, at::kFloat).contiguous();
  const int64_t frames = latents_FHWZ.size(0), rows = latents_FHWZ.size(1),
                columns = latents_FHWZ.size(2);
  at::Tensor colours = at::addmm(map_.bias_O, latents_FHWZ.flatten(0, 2), map_.weight_ZO);
  if (map_.first_weight_ZO.defined()) {
    colours.narrow(0, 0, rows * columns)
        .copy_(at::addmm(map_.first_bias_O, latents_FHWZ[0].flatten(0, 1), map_.first_weight_ZO));
  }
  return colours.mul(127.5)
      .add_(127.5)
      .round_()
      .clamp_(0, 255)
      .to(at::kByte)
      .view({frames, rows, columns, map_.patch, map_.patch, 3})
      .permute({0, 1, 3, 2, 4, 5})
      .reshape({frames, rows * map_.patch, columns * map_.patch, 3})
      .contiguous();
}

}  // namespace sora
