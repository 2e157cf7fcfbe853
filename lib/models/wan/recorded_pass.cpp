#include "lib/models/wan/recorded_pass.h"

#include <ATen/ATen.h>

#include <vector>

namespace sora {
namespace {

using Tensors = std::vector<at::Tensor*>;

// What is new in each step.
template <typename Input>
Tensors of_step(Input& input) {
  return {&input.latents_BCFHW, &input.levels.timestep_R, &input.levels.row_N};
}

// What holds for all steps of a clip.
template <typename Input>
Tensors of_conditions(Input& input) {
  Tensors all = {&input.text.text_bias_BS, &input.control.channels_BCFHW};
  for (std::vector<WanCrossKeys>* layers : {&input.text.layers, &input.text.vace_layers}) {
    for (WanCrossKeys& keys : *layers) {
      for (at::Tensor* tensor :
           {&keys.text_k_BSD, &keys.text_v_BSD, &keys.image_k_BSD, &keys.image_v_BSD})
        all.push_back(tensor);
    }
  }
  return all;
}

bool have_same_shape(const at::Tensor& one, const at::Tensor& other) {
  if (!one.defined() || !other.defined()) return one.defined() == other.defined();
  return one.sizes() == other.sizes() && one.scalar_type() == other.scalar_type();
}

bool have_same_shape(const Tensors& ones, const Tensors& others) {
  if (ones.size() != others.size()) return false;
  for (size_t i = 0; i < ones.size(); ++i)
    if (!have_same_shape(*ones[i], *others[i])) return false;
  return true;
}

void copy(const Tensors& from, const Tensors& to) {
  for (size_t i = 0; i < from.size(); ++i)
    if (from[i]->defined()) to[i]->copy_(*from[i]);
}

}  // namespace

bool RecordedPass::have_same_shapes(Input& one, Input& other) {
  return one.text.is_timed == other.text.is_timed && one.control.scale == other.control.scale &&
         have_same_shape(of_step(one), of_step(other)) &&
         have_same_shape(of_conditions(one), of_conditions(other));
}

at::Tensor RecordedPass::velocity() const {
  return transformer_.velocity(input_->latents_BCFHW, rotation_, input_->levels, input_->text,
                               input_->control);
}

// On a side stream, as CUDA wants it: there, what the libraries prepare for themselves does not get
// in the way of the recording.
at::Tensor RecordedPass::compute_first(const Input& given) {
  graph_.reset();
  velocity_BCFHW_ = at::Tensor();
  input_ = given;
  for (at::Tensor* tensor : of_step(*input_)) *tensor = tensor->clone();
  rotation_ = transformer_.rotation(given.latents_BCFHW);
  has_new_conditions_ = false;
  at::Tensor first_BCFHW;
  side_.mark();
  side_.run([&] { first_BCFHW = velocity(); });
  side_.join();
  return first_BCFHW;
}

at::Tensor RecordedPass::operator()(const at::Tensor& latents_BCFHW, const at::Tensor& timestep,
                                    const WanTextContext& text, const WanControl& control) {
  Input given{latents_BCFHW, transformer_.levels(timestep, latents_BCFHW), text, control};
  if (!input_ || !have_same_shapes(given, *input_)) return compute_first(given);
  copy(of_step(given), of_step(*input_));
  if (has_new_conditions_) copy(of_conditions(given), of_conditions(*input_));
  has_new_conditions_ = false;
  if (!graph_) graph_ = recorder_.record([this] { velocity_BCFHW_ = velocity(); });
  graph_->replay();
  return velocity_BCFHW_.clone();
}

}  // namespace sora
