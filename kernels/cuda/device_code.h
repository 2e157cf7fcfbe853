// For templates that are compiled for a GPU by nvcc and for the CPU by the tests.
#pragma once

#ifdef __CUDACC__
#define SORA_DEVICE __device__ __forceinline__
#else
#define SORA_DEVICE inline
#endif
