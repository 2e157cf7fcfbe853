// config.json of a UMT5 encoder.
#pragma once

#include <cstdint>

#include "lib/core/config_reader.h"

namespace sora {

enum class Umt5Activation { Relu, Silu, Gelu, GeluTanh };

struct Umt5Config {
  int64_t vocab_size = 250112;
  int64_t width = 512;          // d_model
  int64_t head_width = 64;      // d_kv, which times num_heads need not be the width
  int64_t hidden_width = 1024;  // d_ff
  int64_t num_layers = 8;
  int64_t num_heads = 6;
  int64_t num_buckets = 32;    // of relative positions
  int64_t max_distance = 128;  // beyond which all positions share a bucket
  double epsilon = 1e-6;
  Umt5Activation activation = Umt5Activation::GeluTanh;
  bool gated = true;

  // Throws Error(Input) naming a field that is unknown, of the wrong type or out of range.
  static Umt5Config read(const ConfigReader& reader);
};

}  // namespace sora
