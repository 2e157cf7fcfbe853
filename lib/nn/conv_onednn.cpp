#include "lib/nn/conv_onednn.h"

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>
#include <string_view>

namespace sora::onednn {
namespace {

using OptionalTensor = std::optional<at::Tensor>;
using OptionalScalar = std::optional<at::Scalar>;
using OptionalText = std::optional<std::string_view>;
using ScalarList = c10::List<OptionalScalar>;

// The operators are libtorch's own but have no C++ declaration; the dispatcher checks these against
// their schemas.
using Binary = at::Tensor(const at::Tensor& x, const at::Tensor& other, const at::Tensor& weight,
                          const OptionalTensor& bias, at::IntArrayRef padding,
                          at::IntArrayRef stride, at::IntArrayRef dilation, int64_t groups,
                          std::string_view binary_attr, OptionalScalar alpha,
                          OptionalText unary_attr, ScalarList unary_scalars,
                          OptionalText unary_algorithm);
using BinaryInPlace = at::Tensor&(at::Tensor& other, const at::Tensor& x, const at::Tensor& weight,
                                  const OptionalTensor& bias, at::IntArrayRef padding,
                                  at::IntArrayRef stride, at::IntArrayRef dilation, int64_t groups,
                                  std::string_view binary_attr, OptionalScalar alpha,
                                  OptionalText unary_attr, ScalarList unary_scalars,
                                  OptionalText unary_algorithm);
template <typename Signature>
c10::TypedOperatorHandle<Signature> find(const char* name, const char* overload) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, overload).typed<Signature>();
}

std::vector<int64_t> ones(at::IntArrayRef like) { return std::vector<int64_t>(like.size(), 1); }

bool processor_has_bf16_convolutions() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
         __builtin_cpu_supports("avx512dq");
#else
  return false;
#endif
}

}  // namespace

bool can_convolve(const at::Tensor& x) {
  static const bool bf16 = processor_has_bf16_convolutions();
  return x.is_cpu() && at::hasMKLDNN() &&
         (x.scalar_type() == at::kFloat || (bf16 && x.scalar_type() == at::kBFloat16));
}

at::Tensor convolve(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                    at::IntArrayRef padding, at::IntArrayRef stride) {
  return at::mkldnn_convolution(x, weight, bias, padding, stride, ones(stride), /*groups=*/1);
}

at::Tensor convolve_plus(const at::Tensor& other, const at::Tensor& x, const at::Tensor& weight,
                         const at::Tensor& bias, at::IntArrayRef padding, at::IntArrayRef stride) {
  static const auto call = find<Binary>("mkldnn::_convolution_pointwise", "binary");
  return call.call(x, other, weight, bias, padding, stride, ones(stride), 1, "add", at::Scalar(1.0),
                   std::nullopt, ScalarList(), std::nullopt);
}

void convolve_add_(at::Tensor& other, const at::Tensor& x, const at::Tensor& weight,
                   const at::Tensor& bias, at::IntArrayRef padding, at::IntArrayRef stride) {
  static const auto call = find<BinaryInPlace>("mkldnn::_convolution_pointwise_", "binary");
  call.call(other, x, weight, bias, padding, stride, ones(stride), 1, "add", at::Scalar(1.0),
            std::nullopt, ScalarList(), std::nullopt);
}

}  // namespace sora::onednn
