// What `sora models` is asked to do: plain data, free of torch.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "lib/core/model_files.h"

namespace sora {

struct ListModels {
  std::string models_dir;
};

struct ShowModel {
  std::string model;
  ModelFiles files;
  std::string size;        // "832x480": of the clip whose memory is told; empty: the model's own
  int64_t num_frames = 0;  // 0: the model's own
};

struct VerifyModel {
  std::string model;
  std::string models_dir;
};

struct ConvertModel {
  std::string input;
  std::string output;  // a directory, or .safetensors or .gguf
  std::string type;    // f32, f16, bf16, q8_0, q4_k; empty: as stored, where the output can hold it
  std::string tokenizer;  // goes into a text encoder's GGUF; empty: the one inside or beside it
  bool force = false;
};

struct PullModel {
  std::string model;  // org/name[@revision]
  std::vector<std::string> include;
  int connections = 4;
  bool offline = false;
};

using ModelTask = std::variant<ListModels, ShowModel, VerifyModel, ConvertModel, PullModel>;

}  // namespace sora
