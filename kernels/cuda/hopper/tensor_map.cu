// Packs a TileSource by the driver, which is found at run time.
#include "kernels/cuda/hopper/tensor_map.h"

#include <cuda_runtime.h>

#include <stdexcept>

namespace sora::kernels::cuda::hopper {
namespace {

// libcuda.so.1 is the driver's and is not linked; the runtime finds what it holds.
decltype(&cuTensorMapEncodeTiled) encoder() {
  constexpr unsigned kSinceCuda = 12000;
  void* found = nullptr;
  cudaDriverEntryPointQueryResult status;
  if (cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, kSinceCuda,
                                       cudaEnableDefault, &status) != cudaSuccess ||
      status != cudaDriverEntryPointSuccess) {
    cudaGetLastError();  // Note [An error is told once] in check.h
    throw std::runtime_error("CUDA kernels: the driver has no tensor maps (CUDA 12 wanted)");
  }
  return reinterpret_cast<decltype(&cuTensorMapEncodeTiled)>(found);
}

}  // namespace

CUtensorMap tensor_map(const TileSource& source) {
  static const auto encode = encoder();
  constexpr cuuint32_t kDimensions = 4;
  cuuint64_t sizes[kDimensions], strides[kDimensions - 1];
  for (int i = 0; i < 4; ++i) sizes[i] = static_cast<cuuint64_t>(source.sizes[i]);
  for (int i = 0; i < 3; ++i) strides[i] = static_cast<cuuint64_t>(source.strides[i]);
  const cuuint32_t box[kDimensions] = {static_cast<cuuint32_t>(source.box_columns()),
                                       static_cast<cuuint32_t>(source.box_rows), 1, 1};
  const cuuint32_t every[kDimensions] = {1, 1, 1, 1};
  CUtensorMap map;
  const CUresult result = encode(
      &map,
      source.number_bytes == 2 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_UINT8,
      kDimensions, const_cast<void*>(source.data), sizes, strides, box, every,
      CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B,
      CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (result != CUDA_SUCCESS)
    throw std::runtime_error("CUDA kernels: the driver refuses these strides");
  return map;
}

}  // namespace sora::kernels::cuda::hopper
