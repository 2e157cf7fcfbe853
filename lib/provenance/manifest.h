// The record that travels inside every clip: what was asked and everything it was made from, enough
// to make the same frames again on the same machine and build.
//
// Nothing in it depends on when or where it was made: the same request gives the same bytes.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "lib/core/rational.h"

namespace sora {

// A file the clip was made from: an image, a video.
struct ManifestSource {
  std::string name;  // as the request names it
  std::string sha256;
  // IDs of invisible marks that its pictures carry by its own manifest, and hand on.
  std::vector<std::string> watermarks;
  bool operator==(const ManifestSource&) const = default;
};

struct ManifestModel {
  std::string name;         // as the user wrote it: "nano", a directory, a hub name
  std::string class_name;   // of the transformer, "WanTransformer3DModel"
  std::string fingerprint;  // fingerprint() of its files
  std::string dtype;        // of weights and matrix products, "bf16"
  bool operator==(const ManifestModel&) const = default;
};

struct ManifestVideo {
  int64_t width = 0;  // pixels
  int64_t height = 0;
  int64_t num_frames = 0;
  Rational fps;
  bool operator==(const ManifestVideo&) const = default;
};

struct ManifestSchedule {
  std::string scheduler;       // diffusers' class or a name of scheduler_names()
  std::vector<double> sigmas;  // one more than steps, kept as f32
  double guidance_scale = 1.0;
  double guidance_scale_2 = 1.0;
  bool operator==(const ManifestSchedule&) const = default;
};

struct Manifest {
  // Raised when a reader of the old form would misread the new.
  static constexpr int64_t kSchema = 1;

  std::string created_by;                             // "sora 0.1.0"
  std::string operation;                              // "generate"
  nlohmann::json request = nlohmann::json::object();  // to_json(Request), its seed filled in
  std::string preset;                                 // whose texts the request's hold; empty: none
  std::string text;  // that was said all along, where the request's prompt is only a part of it
  uint64_t seed = 0;
  ManifestModel model;
  std::vector<ManifestSource> sources;
  ManifestVideo video;   // what the file holds
  ManifestVideo canvas;  // what the model drew, before scaling, cropping and interpolation
  ManifestSchedule schedule;
  // What went through the VAE in tiles, which blend at their rims: "frames" that were decoded,
  // "sources" that were encoded.
  std::vector<std::string> tiled;
  std::string watermark;                         // "visible", "invisible" or "both"; empty: none
  std::map<std::string, std::string> libraries;  // "libtorch": "2.15.0", "ffmpeg": "5.1.9"

  bool operator==(const Manifest&) const = default;
};

nlohmann::json to_json(const Manifest& manifest);

// `description` names the JSON in messages, usually the file it came from. Throws Error(Input) for
// what is no manifest, for one of a newer schema (naming the version that wrote it), for an unknown
// field and for a wrong type.
Manifest manifest_from_json(const nlohmann::json& json,
                            const std::string& description = "the manifest");

// Whether an object that came out of a media file is a manifest at all, of any schema.
bool is_manifest(const nlohmann::json& json);

}  // namespace sora
