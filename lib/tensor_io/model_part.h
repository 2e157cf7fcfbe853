// How a weight file is known to hold a certain part of a model, under whichever prefix: single
// files carry one part, all-in-one checkpoints several.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/tensor_io/checkpoint.h"

namespace sora {

struct ModelPart {
  std::string_view title;                  // "Wan VAE", for messages
  std::vector<std::string_view> signs;     // tensors of which every such part has one
  std::vector<std::string_view> prefixes;  // what may stand before its names, "" among them
};

extern const ModelPart kWanTransformerPart;
extern const ModelPart kWanControlPart;  // of VACE; in the transformer's file or alone
extern const ModelPart kWanVaePart;
extern const ModelPart kClipVisionPart;
extern const ModelPart kUmt5Part;

// The prefix under which the checkpoint holds the part; empty where it does not.
std::optional<std::string_view> find_part(const Checkpoint& checkpoint, const ModelPart& part);

// Of a checkpoint with the signs of a UMT5 encoder: whether it is none but a T5 encoder, which has
// a table of positions in its first block alone; the width of its embeddings; the name of ComfyUI's
// tensor with the bytes of a tokenizer, empty where there is none; and whether the file holds a
// tokenizer in any form.
bool is_plain_t5(const Checkpoint& checkpoint);
int64_t umt5_width(const Checkpoint& checkpoint);
std::optional<std::string> find_tokenizer_tensor(const Checkpoint& checkpoint);
bool holds_tokenizer(const Checkpoint& checkpoint);

// The part's tensors without their prefix, each renamed once more (to "": left out). Throws
// Error(Input) where the checkpoint does not hold it.
Checkpoint take_part(const Checkpoint& checkpoint, const ModelPart& part,
                     const std::function<std::string(std::string_view)>& rename);

}  // namespace sora
