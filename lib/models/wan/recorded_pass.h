// A pass of the transformer on a device, recorded once for a shape of its input and then replayed
// (lib/nn/device_graph.h): the same operators on the same numbers, so the same bytes.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>

#include "lib/models/wan/transformer.h"
#include "lib/nn/device_graph.h"
#include "lib/nn/side_stream.h"

namespace sora {

class RecordedPass {
 public:
  // All layers of the transformer are resident. Both must outlive the object.
  RecordedPass(const WanTransformer& transformer, GraphRecorder& recorder, at::Device device)
      : transformer_(transformer), recorder_(recorder), side_(device) {}

  // As WanTransformer's operator, without ranks. The first call of a shape computes, the second one
  // records and replays, those after it replay. Text and control are read in the first call and in
  // the next one after renew_conditions(); until then they are taken for what they were.
  at::Tensor operator()(const at::Tensor& latents_BCFHW, const at::Tensor& timestep,
                        const WanTextContext& text, const WanControl& control);
  void renew_conditions() { has_new_conditions_ = true; }

 private:
  struct Input {
    at::Tensor latents_BCFHW;
    WanNoiseLevels levels;
    WanTextContext text;
    WanControl control;
  };

  static bool have_same_shapes(Input& one, Input& other);
  at::Tensor velocity() const;  // of input_
  at::Tensor compute_first(const Input& given);

  const WanTransformer& transformer_;
  GraphRecorder& recorder_;
  SideStream side_;
  // What the recording reads stays in these tensors.
  std::optional<Input> input_;
  Rotation rotation_;
  at::Tensor velocity_BCFHW_;  // what a replay leaves
  std::unique_ptr<DeviceGraph> graph_;
  bool has_new_conditions_ = false;
};

}  // namespace sora
